"""Aggregators and gradient-based weightings under the Trainer."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl.balancing import available
from tests import tiny
from tests.modeling.families import some_fast
from tests.training.trainers import make, parameters, records, same

OPTIONS: dict[str, dict[str, Any]] = {
    "fixed": {"weights": [0.5, 1.0, 2.0]},
    "ngdiff": {"signs": [1, -1, 1]},
    "pcd": {"main": "score", "tau": {"topic": 0.1, "mood": 0.3}},
    "dwa": {"window_steps": 4},
    "cost": {"start_epoch": 0},
    "stch": {"warmup_epochs": 0},
    "gradnorm_scaling": {"every": 2},
    "db_mtl, stateless": {"beta": 0.0},
}
TRAINED = [*available(), "db_mtl, stateless"]


def of(name: str) -> dict[str, Any]:
    """A balancing section with one method."""
    method = name.split(",")[0]
    return {"weighting": None, available()[method]: {"name": method, **OPTIONS.get(name, {})}}


def know_the_beginning(trainer: Any) -> None:
    """GradNorm averages the losses of 20 steps before it balances anything; spare it these."""
    if trainer.weighting.name == "gradnorm":
        trainer.weighting.observe(initial_losses=[1.1, 0.7, 1.5])


@pytest.mark.parametrize("name", some_fast(TRAINED, "gradnorm", "nash_mtl"))  # nine steps: test_balancing_resume
def test_every_method_trains_for_thirty_steps(tmp_path: Path, name: str) -> None:
    trainer = make(tmp_path, balancing=of(name), max_steps=30, learning_rate=3e-3)
    before = parameters(trainer)
    trainer.train()
    after = parameters(trainer)
    assert all(torch.isfinite(value).all() for value in after.values())
    moved = [key for key in after if not torch.equal(before[key], after[key])]
    assert any(key.startswith("encoder") for key in moved)
    assert {task for task in tiny.TASKS for key in moved if f"task_{task}" in key} == set(tiny.TASKS)
    assert len(records(trainer, "loss")) == 30


def test_the_sum_of_the_rows_is_the_sum_of_the_task_means(tmp_path: Path) -> None:
    """With ``exposure: tasks`` and weights of 1, K / m is 1 where all tasks are present."""
    options: dict[str, Any] = {"max_steps": 6, "optim": "sgd", "learning_rate": 0.1, "max_grad_norm": 0.0}
    mixture = {"min_per_task": 1}
    plain = make(
        tmp_path / "a",
        balancing={"weighting": {"name": "ew", "weight_sum": 3.0}, "exposure": "tasks"},
        mixture=mixture,
        **options,
    )
    summed = make(
        tmp_path / "b",
        balancing={"weighting": None, "aggregator": "sum", "exposure": "tasks"},
        mixture=mixture,
        **options,
    )
    start = parameters(plain)
    plain.train()
    summed.train()
    expected, found = parameters(plain), parameters(summed)
    for key, value in expected.items():
        torch.testing.assert_close(found[key] - start[key], value - start[key], rtol=1e-4, atol=1e-6)
    assert not same(start, expected)


SECTIONS: dict[str, dict[str, Any]] = {
    **{name: of(name) for name in ("pcgrad", "graddrop", "sam_mtl", "gradnorm", "excess_mtl", "famo")},
    "gradnorm_scaling": of("gradnorm_scaling"),
    # The losses of the whole step first, then gradients of single tasks.
    "gls+pcgrad": {"weighting": "gls", "aggregator": "pcgrad"},
    "si+cagrad": {"weighting": "si", "aggregator": "cagrad"},
    "famo+mgda": {"weighting": "famo", "aggregator": "mgda"},
    "famo+mgda, split": {"weighting": "famo", "aggregator": "mgda", "gradients": {"layout": "split"}},
    "gls+pcgrad, split, inexact": {
        "weighting": "gls",
        "aggregator": "pcgrad",
        "exact_accumulation": False,
        "gradients": {"layout": "split"},
    },
}


@pytest.mark.parametrize("name", some_fast(SECTIONS, "sam_mtl", "gradnorm", "famo+mgda, split", "gls+pcgrad"))
@pytest.mark.parametrize("head", ["linear", "vip"])
def test_accumulation_does_not_change_the_update(tmp_path: Path, name: str, head: str) -> None:
    options: dict[str, Any] = {"max_steps": 5, "optim": "sgd", "learning_rate": 0.05, "max_grad_norm": 0.0}

    def run(accumulation: int) -> dict[str, torch.Tensor]:
        trainer = make(
            tmp_path / str(accumulation),
            model=tiny.model(head=head),
            balancing=SECTIONS[name],
            per_device_train_batch_size=12 // accumulation,
            gradient_accumulation_steps=accumulation,
            **options,
        )
        know_the_beginning(trainer)
        before = parameters(trainer)
        trainer.train()
        if "gradnorm" in name:
            assert len(set(records(trainer, "weight/mood"))) > 1, "its weights move"
        return {key: value - before[key] for key, value in parameters(trainer).items()}

    whole, parts = run(1), run(3)
    moved = torch.cat([whole[key].flatten() for key in whole])
    difference = torch.cat([(parts[key] - whole[key]).flatten() for key in whole])
    assert difference.norm() < 1e-3 * moved.norm()
