"""Whole runs of every head that samples a latent while it is trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from tests import tiny
from tests.modeling.heads.probabilistic import DIM, EAGER, HEADS, PENALTIES, assert_equal
from tests.training import trainers

HEAVY = {"mt_vib": {"beta": 0.1}, "hierarchical": {"beta": 0.1}, "vmtl": {"latent_beta": 0.1, "weight_beta": 0.1}}


@pytest.mark.parametrize("name", HEADS)
def test_a_run_learns_classes_and_targets_and_logs_the_penalties(name: str, tmp_path: Path) -> None:
    model, data = tiny.model(head={"type": name, **EAGER[name]}), tiny.datasets(trainers.SMALL)
    options: dict[str, Any] = {"max_steps": 40, "learning_rate": 1e-2, "per_device_train_batch_size": 30}
    trainer = trainers.make(tmp_path, model=model, train=data, evaluation=data, weighting="uw", **options)
    before = trainer.evaluate()
    trainer.train()
    after = trainer.evaluate()
    for task in tiny.TASKS:
        assert after[f"eval_{task}_loss"] < 0.9 * before[f"eval_{task}_loss"]
        for key in PENALTIES[name]:
            values = trainers.records(trainer, f"loss/{task}/{key}")
            assert len(values) == 40
            assert np.isfinite(values).all()
            assert min(values) >= 0


@pytest.mark.parametrize("name", HEADS)
def test_one_task_and_one_task_per_step_are_enough(name: str, tmp_path: Path) -> None:
    alone = {"score": tiny.TASKS["score"]}
    head = {"type": name, "dim": DIM, **EAGER[name]}
    data = tiny.datasets({"score": 18})
    single = trainers.make(tmp_path, model=tiny.model(tasks=alone, head=head), train=data, evaluation=data)
    single.train()
    assert len(trainers.records(single, "loss/score/kl")) == 4
    apart = trainers.make(
        tmp_path, model=tiny.model(head=head), mixture={"one_task_per_step": True}, max_steps=6, window_steps=6
    )
    apart.train()
    assert np.isfinite(trainers.records(apart, "loss")).all()


def update(name: str, folder: Path, per_device: int, accumulation: int) -> dict[str, Tensor]:
    """What a few steps change, in parameters and in running statistics."""
    head = {"type": name, "dim": DIM, **EAGER[name], **HEAVY[name]}
    model = tiny.model(head=head, config={"initializer_range": 0.05})
    before = {key: value.double().clone() for key, value in model.state_dict().items()}
    options: dict[str, Any] = {"optim": "sgd", "learning_rate": 0.1, "max_steps": 5, "weight_decay": 0.0}
    trainers.make(
        folder,
        model=model,
        per_device_train_batch_size=per_device,
        gradient_accumulation_steps=accumulation,
        **options,
    ).train()
    return {key: value.double() - before[key] for key, value in model.state_dict().items()}


@pytest.mark.parametrize("name", HEADS)
def test_accumulation_does_not_change_the_update(name: str, tmp_path: Path) -> None:
    whole, parts = (update(name, tmp_path, *split) for split in ((32, 1), (8, 4)))
    for key, expected in whole.items():
        # A key's bias has gradient zero; the pooler and target statistics do not move.
        if not key.endswith("attention.self.key.bias") and expected.norm() > 0:
            error = (parts[key] - expected).norm() / expected.norm()
            assert error < 1e-4, f"{key}: {error:.1e}"
    moved = [key for key, value in whole.items() if value.norm() > 0]
    of_heads = [key for key, _ in tiny.model(head={"type": name, "dim": DIM}).heads.named_parameters()]
    assert {f"heads.{key}" for key in of_heads} <= set(moved)


@pytest.mark.parametrize("name", HEADS)
def test_a_resumed_run_equals_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    head = {"type": name, "dim": DIM, **EAGER[name]}
    options: dict[str, Any] = {"max_steps": 6, "save_strategy": "steps", "save_steps": 3}
    whole = trainers.make(tmp_path, model=tiny.model(dropout=0.1, head=head), **options)
    whole.train()
    resumed = trainers.make(tmp_path / "resumed", model=tiny.model(dropout=0.1, head=head, seed=9), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert_equal(resumed.model.state_dict(), whole.model.state_dict())
    assert trainers.records(resumed, "loss") == trainers.records(whole, "loss")
