"""A checkpoint is written whole, or is not there, whatever the disk refuses."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from transformers import modeling_utils
from transformers.trainer_callback import TrainerState

from hf_mtl.errors import DiskError, RunError
from hf_mtl.inference import manifest
from hf_mtl.training import checkpoint
from hf_mtl.training.saving import staged
from tests.training.trainers import make

SAVING: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2, "save_only_model": True, "max_steps": 4}


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
FULL_IN_RUST = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
FULL_IN_TORCH = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534")


def full_for(name: str, error: Exception, write: Callable[..., Any]) -> Callable[..., Any]:
    """A writer that gets half through a file of a checkpoint, and writes every other."""

    def fail(*args: Any, **kwargs: Any) -> Any:
        places = [item for item in (*args, *kwargs.values()) if isinstance(item, str | os.PathLike)]
        file = next((Path(item) for item in places if Path(item).name == name), None)
        if file is None:
            return write(*args, **kwargs)
        file.write_bytes(b"half")
        raise error

    return fail


WRITES: list[tuple[str, Exception, Any, str]] = [
    ("model.safetensors", FULL_IN_RUST, modeling_utils, "safe_save_file"),
    ("training_args.bin", FULL_IN_TORCH, torch, "save"),
    ("optimizer.pt", FULL_IN_TORCH, torch, "save"),
    ("scheduler.pt", FULL_IN_TORCH, torch, "save"),
    ("rng_state.pth", FULL_IN_TORCH, torch, "save"),
    ("trainer_state.json", FULL, TrainerState, "save_to_json"),
    ("multi_task_state.safetensors", FULL_IN_RUST, checkpoint, "save_file"),
]


@pytest.mark.parametrize(("name", "error", "place", "writer"), WRITES, ids=[name for name, *_ in WRITES])
def test_a_full_disk_leaves_the_last_checkpoint_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception, place: Any, writer: str
) -> None:
    run = make(tmp_path, save_strategy="steps", save_steps=1, max_steps=1)
    run.train()
    monkeypatch.setattr(place, writer, full_for(name, error, getattr(place, writer)))
    run.state.global_step = 2
    with pytest.raises(DiskError) as caught:
        run._save_checkpoint(run.model, None)
    said = str(caught.value)
    assert said.startswith(f"cannot write {tmp_path}/.hf_mtl/staging/checkpoint-2/{name}: No space left on device (")
    assert said.endswith(
        f" free). Make room there. The last checkpoint is whole: {tmp_path}/checkpoint-1 (step 1); resume from it. "
        "training.save_total_limit removes older checkpoints as the run goes on, which makes room."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"], "what was half written makes room"
    manifest.verify(tmp_path / "checkpoint-1")
    monkeypatch.undo()
    run._save_checkpoint(run.model, None)
    manifest.verify(tmp_path / "checkpoint-2")


def test_a_checkpoint_that_cannot_even_have_a_folder_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(tmp_path, save_strategy="no", max_steps=1)
    run.train()

    def mkdir(path: str, *args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(DiskError, match=r"staging/checkpoint-1: No space left .* There is no checkpoint yet"):
        run._save_checkpoint(run.model, None)


def full_while(there: Path, write: Callable[..., Any]) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        if there.exists():
            raise FULL_IN_TORCH
        return write(*args, **kwargs)

    return fail


def test_room_is_made_by_the_checkpoints_that_go_anyway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(staged.logger, "warning", said.append)
    run = make(tmp_path, save_strategy="steps", save_steps=1, max_steps=2, save_total_limit=2)
    run.train()
    monkeypatch.setattr(torch, "save", full_while(tmp_path / "checkpoint-1", torch.save))
    run.state.global_step = 3
    run._save_checkpoint(run.model, None)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-2", "checkpoint-3"}
    manifest.verify(tmp_path / "checkpoint-3")
    assert said == [
        f"The disk of {tmp_path} is full: removed checkpoint-1 before the save, not after it; trying again."
    ]


def test_the_only_whole_checkpoint_never_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(tmp_path, save_strategy="steps", save_steps=1, max_steps=1, save_total_limit=1)
    run.train()
    monkeypatch.setattr(torch, "save", full_while(tmp_path / "checkpoint-1", torch.save))
    run.state.global_step = 2
    with pytest.raises(DiskError, match="checkpoint-1 \\(step 1\\); resume from it.$"):
        run._save_checkpoint(run.model, None)
    manifest.verify(tmp_path / "checkpoint-1")


def test_a_disk_that_is_not_full_costs_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(tmp_path, save_strategy="steps", save_steps=1, max_steps=2, save_total_limit=2)
    run.train()
    too_large = SafetensorError("Error while serializing: I/O error: File too large (os error 27)")
    monkeypatch.setattr(checkpoint, "save_file", full_for(manifest.STATE_FILE, too_large, checkpoint.save_file))
    run.state.global_step = 3
    with pytest.raises(DiskError, match="File too large"):
        run._save_checkpoint(run.model, None)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-1", "checkpoint-2"}


def test_a_limit_removes_no_folder_of_others_during_and_after_training(tmp_path: Path) -> None:
    """The Trainer's own rotation takes every name like ``checkpoint-2-best``, and at its end the whole rest."""
    others = ("checkpoint-1-best", "checkpoint-old", "checkpoint-9", "staging", "outbox")
    for name in others:
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_text("mine")
    best = {"eval_strategy": "steps", "eval_steps": 2, "load_best_model_at_end": True, "save_total_limit": 1}
    make(tmp_path, **{**SAVING, **best}).train()
    assert {path.name for path in tmp_path.iterdir()} - {"checkpoint-2", "checkpoint-4"} == set(others)
    assert len(list(tmp_path.iterdir())) == len(others) + 1
    assert all((tmp_path / name / "weights").read_text() == "mine" for name in others)


def test_a_place_that_is_taken_is_refused_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-4").mkdir()
    (tmp_path / "checkpoint-4" / "pytorch_model.bin").write_text("mine")
    run = make(tmp_path, **SAVING)
    with pytest.raises(RunError, match=f"{tmp_path}/checkpoint-4: a checkpoint of this run would take the place"):
        run.train()
    assert run.state.global_step == 0
    assert (tmp_path / "checkpoint-4" / "pytorch_model.bin").read_text() == "mine"
    make(tmp_path, **{**SAVING, "max_steps": 3}).train()


def test_a_second_training_in_a_folder_replaces_its_checkpoints(tmp_path: Path) -> None:
    for _ in range(2):
        make(tmp_path, **SAVING).train()
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-2", "checkpoint-4"}
