"""Token ids on the disk."""

import os
import pickle
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from hf_mtl.data.text_batches import TextBatch
from hf_mtl.data.token_files import MappedTokens, read_tokens, write_tokens


def batches(types: bool = False, first: int = 5) -> Iterator[TextBatch]:
    """Two rows, none, and one of no tokens."""
    for lengths in ([2, 1], [], [0]):
        ids = np.arange(first, first + sum(lengths), dtype=np.int32)
        yield TextBatch(
            ids,
            ids.astype(np.uint8) if types else None,
            np.array(lengths, np.int64),
            np.array([length == 1 for length in lengths], dtype=bool),
        )


def plain(tokens: MappedTokens) -> list[list[int]]:
    types = [] if tokens.flat_type_ids is None else tokens.flat_type_ids.tolist()
    return [tokens.flat_ids.tolist(), types, tokens.offsets.tolist(), tokens.cut.tolist()]


ROWS = [[5, 6, 7], [], [0, 2, 3, 3], [False, True, False]]


@pytest.mark.parametrize("types", [False, True])
def test_what_is_written_is_mapped(tmp_path: Path, types: bool) -> None:
    folder = tmp_path / "cache" / "tokens-1"
    written = write_tokens(folder, batches(types), takes_types=types)
    read = read_tokens(folder, 3, takes_types=types)
    assert read is not None
    assert plain(read) == plain(written) == [ROWS[0], ROWS[0] if types else [], *ROWS[2:]]
    assert isinstance(read.flat_ids.base, np.memmap)
    assert type(read.flat_ids[[0]]) is np.ndarray
    assert [path.name for path in folder.parent.iterdir()] == ["tokens-1"]


def test_no_tokens_at_all_can_be_kept(tmp_path: Path) -> None:
    empty = TextBatch(np.zeros(0, np.int32), None, np.zeros(1, np.int64), np.zeros(1, bool))
    write_tokens(tmp_path / "a", [empty], takes_types=False)
    read = read_tokens(tmp_path / "a", 1, takes_types=False)
    assert read is not None
    assert len(read) == 1
    assert read.total_tokens == 0


def test_rows_travel_to_another_process_as_the_name_of_their_folder(tmp_path: Path) -> None:
    tokens = write_tokens(tmp_path / "a", batches(), takes_types=False)
    shipped = pickle.dumps(tokens)
    assert isinstance(pickle.loads(shipped).flat_ids.base, np.memmap)
    assert ROWS[0] == pickle.loads(shipped).flat_ids.tolist()
    assert b"\x05\x00\x00\x00" not in shipped
    shutil.rmtree(tmp_path / "a")
    assert plain(pickle.loads(pickle.dumps(tokens))) == ROWS, "what is mapped outlives its name, and is copied"


def shorten(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def blank(file: Path) -> None:
    """As a file whose blocks the disk has lost."""
    file.write_bytes(bytes(file.stat().st_size))


@pytest.mark.parametrize("damage", [shorten, empty, blank, Path.unlink])
@pytest.mark.parametrize("name", ["ids", "offsets", "cut", "types", "sums"])
def test_what_is_damaged_is_not_read_and_is_written_anew(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    folder = tmp_path / "a"
    write_tokens(folder, batches(types=True), takes_types=True)
    damage(folder / name)
    assert read_tokens(folder, 3, takes_types=True) is None
    assert read_tokens(tmp_path / "nowhere", 3, takes_types=True) is None
    again = write_tokens(folder, batches(types=True), takes_types=True)
    found = read_tokens(folder, 3, takes_types=True)
    assert found is not None
    assert plain(again) == plain(found)
    assert read_tokens(folder, 4, takes_types=True) is None, "other rows"


def test_two_that_write_the_same_rows_do_not_meet(tmp_path: Path) -> None:
    folder = tmp_path / "a"

    def slow() -> Iterator[TextBatch]:
        yield from batches()
        write_tokens(folder, batches(), takes_types=False)  # another run's, which ends first

    late = write_tokens(folder, slow(), takes_types=False)
    found = read_tokens(folder, 3, takes_types=False)
    assert found is not None
    assert plain(late) == plain(found) == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[TextBatch]:
        yield from batches()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_tokens(tmp_path / "a", failing(), takes_types=False)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_is_removed_by_a_later_one(tmp_path: Path) -> None:
    for name, age in {"killed": 7200, "at work": 60}.items():
        left = tmp_path / f".writing-{name}"
        left.mkdir()
        (left / "ids").touch()
        for path in (left / "ids", left):
            os.utime(path, (time.time() - age,) * 2)
    write_tokens(tmp_path / "a", batches(), takes_types=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".writing-at work", "a"]
