"""A Trainer goes on with its own weights, or says that it cannot."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl.errors import CheckpointError
from tests import tiny
from tests.modeling.families import OTHERS
from tests.training import runs
from tests.training.trainers import make

SAVING: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2, "save_only_model": True, "max_steps": 4}


def test_a_checkpoint_of_another_head_or_encoder_is_refused(tmp_path: Path) -> None:
    make(tmp_path, **SAVING).train()
    deeper = tiny.model(config={"num_hidden_layers": 3})
    for model, said in (
        (tiny.model(head="mlp"), "model.head: is 'mlp', in the run it is"),
        (deeper, "weights of the model are missing: 16 of encoder"),
    ):
        with pytest.raises(CheckpointError, match=said):
            make(tmp_path, model=model, **SAVING).train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))


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
