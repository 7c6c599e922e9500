"""Resuming from Python: the same bits, or a refusal that says why."""

from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import CheckpointError
from tests import tiny
from tests.training.trainers import make, parameters, records, same


@pytest.mark.parametrize("last", [3, 5])
def test_a_run_resumed_at_its_last_step_takes_no_other(tmp_path: Path, last: int) -> None:
    # An epoch is 8 steps: both ends lie within it.
    options: dict[str, Any] = {"max_steps": last, "save_strategy": "steps", "save_steps": last}
    trainer = make(tmp_path, **options)
    trainer.train()
    resumed = make(tmp_path, model=tiny.model(seed=8), **options)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == last
    assert same(parameters(resumed), parameters(trainer))
    assert resumed.evaluate()["eval_average"] == trainer.evaluate()["eval_average"]


@pytest.mark.parametrize("step", [3, 4, 6])
def test_a_run_of_epochs_goes_on_from_anywhere(tmp_path: Path, step: int) -> None:
    # Two epochs of 4 steps: in the first, between them, in the second.
    options: dict[str, Any] = {
        "max_steps": -1,
        "num_train_epochs": 2,
        "gradient_accumulation_steps": 2,
        "save_strategy": "steps",
        "save_steps": 1,
        "window_steps": 3,
        "weighting": "uw",
        "mixture": {"anneal": {}},
    }
    whole = make(tmp_path, model=tiny.model(dropout=0.1), **options)
    whole.train()
    assert whole.state.global_step == 8
    resumed = make(tmp_path / "resumed", model=tiny.model(dropout=0.1, seed=9), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{step}"))
    assert resumed.state.global_step == 8
    assert same(parameters(resumed), parameters(whole))
    assert records(resumed, "loss") == records(whole, "loss")


@pytest.mark.parametrize(("size", "accumulation"), [(4, 2), (2, 1)])
def test_a_resumed_run_keeps_its_rows_per_step(tmp_path: Path, size: int, accumulation: int) -> None:
    options: dict[str, Any] = {"optim": "sgd", "learning_rate": 0.05, "save_strategy": "steps", "save_steps": 2}
    whole = make(tmp_path, **options)
    whole.train()
    batches: dict[str, Any] = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulation}
    resumed = make(tmp_path / "resumed", **options, **batches)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert resumed.rows_per_step == 8
    assert resumed.args.gradient_accumulation_steps == 8 // size
    assert records(resumed, "loss") == pytest.approx(records(whole, "loss"), rel=1e-5)
    assert records(resumed, "share/mood") == records(whole, "share/mood")


def test_a_run_resumed_after_it_stopped_early_stays_stopped(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "max_steps": 9,
        "learning_rate": 0.0,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_strategy": "steps",
        "save_steps": 1,
        "metric_for_best_model": "average",
        "early_stopping_patience": 2,
    }
    make(tmp_path, **options).train()
    resumed = make(tmp_path, **options)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 3


def test_a_damaged_checkpoint_given_by_path_is_refused(tmp_path: Path) -> None:
    make(tmp_path, save_strategy="steps", save_steps=2).train()
    damaged = tmp_path / "checkpoint-4" / "optimizer.pt"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    trainer = make(tmp_path)
    before = parameters(trainer)
    with pytest.raises(CheckpointError, match=r"checkpoint-4/optimizer\.pt: damaged"):
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert same(parameters(trainer), before)


def test_another_seed_or_other_tasks_are_refused_with_what_differs(tmp_path: Path) -> None:
    make(tmp_path, save_strategy="steps", save_steps=2).train()
    with pytest.raises(CheckpointError, match="seed is 7, the checkpoint has 42"):
        make(tmp_path, seed=7).train(resume_from_checkpoint=True)
    fewer = {name: tiny.TASKS[name] for name in ("topic", "mood")}
    data = tiny.datasets({"topic": 30, "mood": 12})
    trainer = make(tmp_path, model=tiny.model(tasks=fewer), train=data, evaluation=data)
    with pytest.raises(CheckpointError, match="tasks is .*, the checkpoint has .*'score': 18"):
        trainer.train(resume_from_checkpoint=True)


def test_another_weighting_is_refused(tmp_path: Path) -> None:
    make(tmp_path, weighting="uw", save_strategy="steps", save_steps=2).train()
    with pytest.raises(CheckpointError, match="weighting"):
        make(tmp_path, weighting="ew").train(resume_from_checkpoint=True)


def test_without_a_saved_schedule_the_learning_rate_goes_on_where_it_was(tmp_path: Path) -> None:
    """As after `save_only_model`: it used to begin anew, at its peak, and never came down."""
    saving: dict[str, Any] = {"save_strategy": "steps", "save_steps": 3, "save_only_model": True, "max_steps": 6}
    rates = []
    for start in (None, str(tmp_path / "checkpoint-3")):
        trainer = make(tmp_path, head_learning_rate=1e-2, **saving)
        trainer.train(resume_from_checkpoint=start)
        rates.append({log["step"]: log["learning_rate"] for log in trainer.state.log_history if "loss" in log})
    assert rates[0] == rates[1]
    assert rates[0][6] == pytest.approx(1e-3 / 6)
