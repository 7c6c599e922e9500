import json
import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from hf_mtl.errors import CheckpointError
from hf_mtl.inference.manifest import MANIFEST, STATE_FILE, seal, verify
from hf_mtl.training import checkpoint
from hf_mtl.training.checkpoint import checkpoints, load_state, newest_whole, restore, save_state
from hf_mtl.training.folder.own_checkpoints import publish


class Memory:
    """Something that remembers."""

    def __init__(self, **state: Any):
        self.state = state

    def state_dict(self) -> dict[str, Any]:
        return dict(self.state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = state


def make(run: Path, step: int, seed: int = 0) -> Path:
    """A sealed checkpoint with a file in a sub-folder."""
    folder = run / f"checkpoint-{step}"
    (folder / "tokenizer").mkdir(parents=True)
    generator = torch.Generator().manual_seed(seed)
    save_file({"weight": torch.rand(50, generator=generator)}, folder / "model.safetensors")
    (folder / "tokenizer" / "tokenizer.json").write_text("{}")
    save_state(folder / STATE_FILE, {"steps": Memory(start=step)})
    seal(folder)
    return folder


# ---- The state file ----


def test_state_goes_around_through_the_file(tmp_path: Path) -> None:
    plain: dict[str, Any] = {
        "start": 3,
        "rate": 0.1,
        "stopped": False,
        "names": ["ä", "b"],
        "none": None,
        "deep": {"a": [1]},
    }
    tensors = {"f64": torch.rand(3, dtype=torch.float64), "i64": torch.arange(4), "view": torch.rand(4, 4)[:, 1]}
    parts = {"first": Memory(**plain, **tensors), "second": Memory(f64=torch.zeros(1)), "empty": Memory()}
    save_state(tmp_path / "state", parts)
    loaded = {name: Memory() for name in parts}
    restore(tmp_path / "state", loaded)
    first = loaded["first"].state
    assert {key: first[key] for key in plain} == plain
    for key, value in tensors.items():
        assert torch.equal(first[key], value)
        assert first[key].dtype == value.dtype
    assert loaded["second"].state["f64"].tolist() == [0.0]
    assert loaded["empty"].state == {}


def test_state_without_tensors_goes_around(tmp_path: Path) -> None:
    save_state(tmp_path / "state", {"only": Memory(step=7)})
    assert load_state(tmp_path / "state") == {"only": {"step": 7}}


def test_a_part_that_the_file_lacks_is_named_and_nothing_is_loaded(tmp_path: Path) -> None:
    save_state(tmp_path / "state", {"steps": Memory(start=1)})
    parts = {"steps": Memory(start=0), "signals": Memory(), "weighting": Memory()}
    with pytest.raises(CheckpointError, match=r"state: has no state of signals, weighting; .*another run"):
        restore(tmp_path / "state", parts)
    assert parts["steps"].state == {"start": 0}


class Explosive:
    """Pickle that leaves a mark when it is read."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.mkdir, (self.mark,)  # type: ignore[return-value]


def test_a_pickle_is_refused_and_not_read(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = tmp_path / "state"
    path.write_bytes(pickle.dumps(Explosive(mark)))
    pickle.loads(path.read_bytes())
    assert mark.exists(), "the pickle should be able to do harm"
    mark.rmdir()
    torch.save({"steps": {}}, tmp_path / "torch")
    for file in (path, tmp_path / "torch"):
        with pytest.raises(CheckpointError, match=f"{file}: not a state file of hf_mtl, or damaged"):
            load_state(file)
    assert not mark.exists()


@pytest.mark.parametrize("state", ["[]", "3", "null", '{"steps": 3}', '{"steps": []}', "[" * 100_000])
def test_a_header_of_another_type_is_damage(tmp_path: Path, state: str) -> None:
    save_file({"steps/a": torch.ones(1)}, tmp_path / "state", metadata={"state": state})
    with pytest.raises(CheckpointError, match="state: not a state file of hf_mtl, or damaged"):
        load_state(tmp_path / "state")


class Strict(Memory):
    """Something that needs its keys."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = {"start": state["start"] + 1}


@pytest.mark.parametrize("state", [{}, {"start": "a"}, {"start": None}])
def test_a_state_that_a_part_cannot_use_names_file_and_part(tmp_path: Path, state: dict[str, Any]) -> None:
    save_state(tmp_path / "state", {"steps": Memory(**state)})
    with pytest.raises(CheckpointError, match="state: the state of steps cannot be read, or belongs to another run"):
        restore(tmp_path / "state", {"steps": Strict()})


def test_files_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"\x05\x00")
    (tmp_path / "empty").write_bytes(b"")
    save_file({"a": torch.ones(1)}, tmp_path / "no_metadata")
    save_file({"a": torch.ones(1)}, tmp_path / "no_json", metadata={"state": "{"})
    save_file({"a/b": torch.ones(1)}, tmp_path / "unknown_part", metadata={"state": "{}"})
    save_file({"ab": torch.ones(1)}, tmp_path / "no_part", metadata={"state": "{}"})
    for name in ("short", "empty", "no_metadata", "no_json", "unknown_part", "no_part", "missing"):
        with pytest.raises(CheckpointError, match=f"{name}: not a state file of hf_mtl, or damaged"):
            load_state(tmp_path / name)


# ---- The manifest ----


def test_a_sealed_checkpoint_is_whole(tmp_path: Path) -> None:
    folder = make(tmp_path, 5)
    verify(folder)
    listed = json.loads((folder / MANIFEST).read_text())["files"]
    assert set(listed) == {"model.safetensors", STATE_FILE, "tokenizer/tokenizer.json"}


def test_a_checkpoint_may_move(tmp_path: Path) -> None:
    make(tmp_path, 5).rename(tmp_path / "elsewhere")
    verify(tmp_path / "elsewhere")


@pytest.mark.parametrize("name", ["model.safetensors", STATE_FILE, "tokenizer/tokenizer.json"])
def test_one_flipped_bit_is_found_and_the_file_named(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path, 5)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{folder / name}: damaged"):
        verify(folder)


def test_a_truncated_file_is_found(tmp_path: Path) -> None:
    folder = make(tmp_path, 5)
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-1])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: damaged"):
        verify(folder)


def test_a_missing_file_is_found(tmp_path: Path) -> None:
    folder = make(tmp_path, 5)
    (folder / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: missing from the checkpoint"):
        verify(folder)


@pytest.mark.parametrize("name", ["model-00001-of-00002.safetensors", "adapter_config.json", "vocab.txt"])
def test_a_file_that_would_be_loaded_too_is_found(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path, 5)
    (folder / "README.md").write_text("mine")
    verify(folder)
    (folder / name).write_text("{}")
    with pytest.raises(CheckpointError, match=f"{folder / name}: was not written with the checkpoint"):
        verify(folder)


def test_a_folder_without_a_manifest_is_incomplete_or_foreign(tmp_path: Path) -> None:
    folder = make(tmp_path, 5)
    (folder / MANIFEST).unlink()
    with pytest.raises(CheckpointError, match=f"{MANIFEST}: not found; .*incomplete, or not hf_mtl's"):
        verify(folder)
    with pytest.raises(CheckpointError, match="there is no such folder"):
        verify(tmp_path / "checkpoint-6")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"files": 3}', '{"files": {"x": {"size": 1', "\x00", f'{{"files": ["{STATE_FILE}"]}}']
    + [f'{{"files": {{"{STATE_FILE}": {entry}}}}}' for entry in ("3", "{}", '{"size": 1}')],
)
def test_a_damaged_manifest_is_said_to_be_so(tmp_path: Path, content: str) -> None:
    folder = make(tmp_path, 5)
    (folder / MANIFEST).write_text(content)
    with pytest.raises(CheckpointError, match=f"{MANIFEST}: damaged"):
        verify(folder)


DIGEST = "0" * 64
ENTRIES: dict[str, tuple[str, object]] = {
    "a path outside": ("../../x", {"size": 1, "sha256": DIGEST}),
    "an absolute path": ("/etc/passwd", {"size": 1, "sha256": DIGEST}),
    "a path of another system": ("..\\x", {"size": 1, "sha256": DIGEST}),
    "no name": ("", {"size": 1, "sha256": DIGEST}),
    "a negative size": ("x", {"size": -1, "sha256": DIGEST}),
    "a size in words": ("x", {"size": "1", "sha256": DIGEST}),
    "a size that is true": ("x", {"size": True, "sha256": DIGEST}),
    "a short hash": ("x", {"size": 1, "sha256": "0"}),
    "a hash that is a list": ("x", {"size": 1, "sha256": [DIGEST]}),
}


@pytest.mark.parametrize("case", ENTRIES)
def test_an_absurd_entry_of_a_manifest_is_damage(tmp_path: Path, case: str) -> None:
    folder = make(tmp_path, 5)
    manifest = json.loads((folder / MANIFEST).read_text())
    name, entry = ENTRIES[case]
    (folder / MANIFEST).write_text(json.dumps({"files": {**manifest["files"], name: entry}}))
    with pytest.raises(CheckpointError, match=f"{folder / MANIFEST}: damaged"):
        verify(folder)


def test_a_manifest_that_is_too_large_or_no_file_is_damage(tmp_path: Path) -> None:
    folder = make(tmp_path, 5)
    with (folder / MANIFEST).open("wb") as file:
        file.truncate(2**30)  # zeros that take no room
    with pytest.raises(CheckpointError, match=f"{folder / MANIFEST}: damaged .it has 1,073,741,824 bytes"):
        verify(folder)
    (folder / MANIFEST).unlink()
    os.mkfifo(folder / MANIFEST)
    with pytest.raises(CheckpointError, match=f"{folder / MANIFEST}: damaged .it is no file"):
        verify(folder)


def test_files_of_a_cache_may_be_links(tmp_path: Path) -> None:
    folder = make(tmp_path, 5)
    (folder / "model.safetensors").rename(tmp_path / "blob")
    (folder / "model.safetensors").symlink_to(tmp_path / "blob")
    verify(folder)


def test_no_flipped_bit_of_a_manifest_is_more_than_a_checkpoint_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path, 5)
    monkeypatch.setattr(os, "fsync", lambda number: None)  # verified hundreds of times
    content = (folder / MANIFEST).read_bytes()
    for place in range(len(content)):
        flipped = bytes([*content[:place], content[place] ^ 4, *content[place + 1 :]])
        (folder / MANIFEST).write_bytes(flipped)
        with suppress(CheckpointError):  # harmless places exist, such as the format's number
            verify(folder)


def test_a_checkpoint_without_our_state_is_another_programs(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    seal(tmp_path)
    with pytest.raises(CheckpointError, match=f"does not list {STATE_FILE}; the checkpoint is not one of hf_mtl's"):
        verify(tmp_path)


# ---- Checkpoints of a run ----


def test_checkpoints_are_listed_newest_first_by_number(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for other in ("checkpoint-", "checkpoint-old", "checkpoint-7-copy", "staging"):
        (tmp_path / other).mkdir()
    (tmp_path / "checkpoint-300").write_text("a file")
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-100", "checkpoint-20", "checkpoint-9"]
    assert checkpoints(tmp_path / "nowhere") == []


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(checkpoint.logger, "warning", said.append)
    return said


def test_the_newest_whole_checkpoint_is_found_in_silence(tmp_path: Path, warnings: list[str]) -> None:
    make(tmp_path, 5)
    newest = make(tmp_path, 10)
    assert newest_whole(tmp_path) == newest
    assert warnings == []


def test_damaged_checkpoints_are_passed_over_with_a_warning_each(tmp_path: Path, warnings: list[str]) -> None:
    whole, damaged, unsealed = (make(tmp_path, step) for step in (5, 10, 15))
    (damaged / "model.safetensors").write_bytes(b"half")
    (unsealed / MANIFEST).unlink()
    assert newest_whole(tmp_path) == whole
    assert len(warnings) == 2
    assert str(unsealed / MANIFEST) in warnings[0]
    assert str(damaged / "model.safetensors") in warnings[1]
    (whole / STATE_FILE).unlink()
    assert newest_whole(tmp_path) is None


def test_publishing_replaces_an_older_checkpoint_as_a_whole(tmp_path: Path) -> None:
    old = make(tmp_path, 5)
    staging = tmp_path / "staging"
    new = make(staging, 5, seed=1)
    expected = (new / "model.safetensors").read_bytes()
    publish(new, old)
    verify(old)
    assert (old / "model.safetensors").read_bytes() == expected
    assert list(staging.iterdir()) == []


def test_publishing_clears_what_an_interrupted_publishing_left(tmp_path: Path) -> None:
    old, staging = make(tmp_path, 5), tmp_path / "staging"
    make(staging, 5)
    (staging / "replaced-checkpoint-5").mkdir()
    (staging / "replaced-checkpoint-5" / "remains").write_text("x")
    publish(staging / "checkpoint-5", old)
    verify(old)
    assert list(staging.iterdir()) == []
