"""One process works, and its machine shares what it has made."""

import os
import pickle
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch.distributed
import torch.multiprocessing

from hf_mtl.data import sharing
from hf_mtl.data.same_rows import signs_of
from hf_mtl.data.sharing import of_one_process
from hf_mtl.data.tokens import EncodedSplit, TokenStore
from hf_mtl.errors import DataError
from hf_mtl.inference.encode import encode_splits
from tests import tiny


def result(count: int) -> dict[str, EncodedSplit]:
    ids = np.arange(count, dtype=np.int32)
    tokens = TokenStore(ids, np.array([0, count]), np.zeros(1, bool))
    return {"t": EncodedSplit(tokens, np.array([1]))}


def test_large_arrays_are_mapped_from_a_file_and_small_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sharing, "_LARGE", 1000)
    small, large = sharing._pack(result(10)), sharing._pack(result(1001))
    assert small is not None
    assert small.file is None
    assert small.open()["t"].tokens.total_tokens == 10
    assert large is not None
    assert large.file is not None
    assert len(large.content) < 2000
    found = pickle.loads(pickle.dumps(large)).open()["t"]
    large.file.unlink()
    assert found.tokens.flat_ids.tolist() == list(range(1001))
    assert not found.tokens.flat_ids.flags.writeable
    assert found.labels.flags.writeable


def test_a_full_disk_and_what_does_not_travel_leave_the_work_to_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert sharing._pack({"t": lambda: None}) is None
    assert caplog.text == ""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert sharing._pack(result(1_000_000)) is None
    assert "cannot share their rows in" in caplog.text
    assert "Set TMPDIR" in caplog.text


def test_one_process_keeps_what_it_has_made() -> None:
    made = result(10)
    assert of_one_process(lambda: made) is made
    assert signs_of({"topic": tiny.rows("topic", 5)}, tiny.TASKS) == {}


def _heard(rank: int, work: Any) -> str:
    try:
        return str(work())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _fail(error: Exception) -> None:
    raise error


def _work(rank: int, folder: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_RANK", str(rank))
        patch.setattr(tempfile, "tempdir", f"{folder}/temporary")
        patch.setattr(sharing, "_LARGE", 1000)
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(seconds=60)
        )
        datasets = tiny.datasets({"topic": 300, "score": 40})
        split = encode_splits(datasets, tiny.TASKS, tiny.tokenizer(), None, "train")["topic"]
        base: Any = split.tokens.flat_ids
        while isinstance(base.base, np.ndarray):
            base = base.base
        lines = [
            str(int((split.tokens.flat_ids * np.arange(len(split.tokens.flat_ids))).sum())),
            f"{split.labels.sum()} {split.tokens.flat_ids.flags.writeable}",
            str(os.listdir(f"{folder}/temporary")),
            _heard(rank, lambda: of_one_process(lambda: _fail(DataError("a hole")))),
            _heard(rank, lambda: of_one_process(lambda: _fail(ValueError("of a user")))),
            _heard(rank, lambda: of_one_process(lambda: (rank, _Unshared()) if rank else (rank, lambda: None))[0]),
        ]
        mine = {"topic": datasets["topic"].shard(2, rank)}
        lines.append(_heard(rank, lambda: encode_splits(mine, tiny.TASKS, tiny.tokenizer(), None, "train")))
        Path(folder, f"heard-{rank}").write_text("\n".join(lines))
        torch.distributed.destroy_process_group()


class _Unshared:
    """What a process makes for itself."""


@pytest.mark.slow
def test_two_processes_share_rows_and_mistakes(tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    torch.multiprocessing.spawn(_work, (str(tmp_path),), nprocs=2)
    first, other = [(tmp_path / f"heard-{rank}").read_text().splitlines() for rank in (0, 1)]
    assert first[:2] == other[:2]
    assert first[1].endswith("False"), "both map the file"
    assert first[3] == other[3] == "DataError: a hole."
    assert first[4:6] == ["ValueError: of a user", "0"]
    assert other[4] == "LostProcessError: the first process of the machine has failed (ValueError: of a user)."
    assert other[5] == "1", "each has worked for itself"
    assert first[6] == other[6]
    assert "tasks.topic: the train rows differ from process to process" in other[6]
    assert list((tmp_path / "temporary").iterdir()) == []
