"""A Trainer goes on with its own weights, or says that it cannot."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl.errors import CheckpointError, RunError
from tests import tiny
from tests.modeling.families import OTHERS
from tests.training import runs
from tests.training.trainers import make

SAVING: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2, "save_only_model": True, "max_steps": 4}


def test_a_checkpoint_of_another_head_is_refused(tmp_path: Path) -> None:
    make(tmp_path, **SAVING).train()
    other = make(tmp_path, model=tiny.model(head="mlp"), **SAVING)
    with pytest.raises(CheckpointError, match="weights of the model are missing: 4 of heads"):
        other.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))


def test_tied_weights_are_not_missed(tmp_path: Path) -> None:
    t5 = {**OTHERS["t5"], "vocab_size": 66}
    make(tmp_path, model=tiny.model(config=t5), **SAVING).train()
    run = make(tmp_path, model=tiny.model(config=t5, seed=5), **SAVING)
    run.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert run.state.global_step == 4


def test_a_best_checkpoint_that_was_damaged_or_lost_is_not_passed_over(tmp_path: Path) -> None:
    run = make(tmp_path, eval_strategy="steps", eval_steps=2, load_best_model_at_end=True, **SAVING)
    run.train()
    best = Path(str(run.state.best_model_checkpoint))
    kept = {name: value.clone() for name, value in run.model.state_dict().items()}
    runs.damage(best / "model.safetensors")
    with pytest.raises(CheckpointError, match=rf"{best}/model\.safetensors: damaged"):
        run._load_best_model()
    (best / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors: missing from the checkpoint"):
        run._load_best_model()
    assert all(torch.equal(value, kept[name]) for name, value in run.model.state_dict().items())


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
