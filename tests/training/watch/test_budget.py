"""Budgets of backward passes and operations."""

import time
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import UserError
from tests.training.trainers import make, records

TWO: dict[str, Any] = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"max_steps": -1, "max_backward_passes": 7}, 3),  # not one pass more than allowed
        ({"max_steps": 2, "max_backward_passes": 7}, 2),
        ({"max_steps": 9, "max_backward_passes": 4}, 2),
        ({"max_steps": -1, "num_train_epochs": 1, "max_backward_passes": 20}, 10),
    ],
)
def test_backward_passes_set_the_length_of_the_run(tmp_path: Path, options: dict[str, Any], steps: int) -> None:
    trainer = make(tmp_path, **TWO, **options)
    assert trainer.course.total_steps == steps
    trainer.train()
    assert trainer.state.global_step == steps
    assert records(trainer, "backward_passes")[-1] == 2 * steps
    # The linear schedule of the learning rate ends with the run.
    assert records(trainer, "learning_rate")[-1] == pytest.approx(1e-3 / steps)


def test_passes_through_the_encoder_are_counted_apart(tmp_path: Path) -> None:
    trainer = make(tmp_path, **TWO, max_steps=6, schedules=[{"type": "alternating", "period": 2}])
    trainer.train()
    assert records(trainer, "backward_passes") == [2, 4, 6, 8, 10, 12, 12]  # the last of the summary
    assert records(trainer, "encoder_backward_passes") == [0, 0, 2, 4, 4, 4]


def test_operations_stop_the_run_in_the_step_that_reaches_them(tmp_path: Path) -> None:
    whole = make(tmp_path, max_steps=6)
    whole.train()
    spent = records(whole, "flops")
    stopped = make(tmp_path, max_steps=6, max_flops=spent[2] - 1)
    stopped.train()
    assert stopped.state.global_step == 3
    assert records(stopped, "flops") == spent[:3]


def test_a_run_that_used_up_its_operations_stays_stopped_until_it_is_given_more(tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_steps": 6, "save_strategy": "steps", "save_steps": 1}
    make(tmp_path, max_flops=1.0, **options).train()
    again = make(tmp_path, max_flops=1.0, **options)
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 1
    more = make(tmp_path, **options)
    more.train(resume_from_checkpoint=True)
    assert more.state.global_step == 6
    assert more.budget.backward_passes == 6


def test_early_stopping_stops_a_run_with_budgets_too(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "learning_rate": 0.0,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_strategy": "steps",
        "save_steps": 1,
        "metric_for_best_model": "average",
        "early_stopping_patience": 2,
    }
    trainer = make(tmp_path, max_steps=-1, max_backward_passes=9, max_flops=1e15, **options)
    trainer.train()
    assert trainer.state.global_step == 3
    more = make(tmp_path, max_steps=-1, max_backward_passes=9, **options)
    more.train(resume_from_checkpoint=True)
    assert more.state.global_step == 3, "it was not the budget that stopped it"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_backward_passes": 0}, "training.max_backward_passes: is 0. Allowed: at least 1"),
        (
            {"max_backward_passes": 1, **TWO},
            "training.max_backward_passes: is 1. Allowed: at least the 2 of one step",
        ),
        ({"max_flops": 0.0}, "training.max_flops: is 0.0. Allowed: more than 0"),
        ({"max_flops": -1e9}, "training.max_flops: is -1000000000.0. Allowed: more than 0"),
        ({"max_flops": float("nan")}, "training.max_flops: is nan. Allowed: a number"),
    ],
)
def test_budgets_of_nothing_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        make(tmp_path, **options)
    assert [str(mistake) for mistake in caught.value.mistakes] == [said]


def test_the_time_of_steps_is_counted_without_evaluations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make(tmp_path, max_steps=4, logging_steps=2, eval_strategy="steps", eval_steps=2)
    evaluate = trainer.evaluate

    def slowly(*given: Any, **named: Any) -> dict[str, float]:
        time.sleep(1.0)
        return evaluate(*given, **named)

    monkeypatch.setattr(trainer, "evaluate", slowly)
    trainer.train()
    seconds = records(trainer, "optimizer_runtime")
    assert 0 < seconds[0] < seconds[1] <= seconds[2] < 1.0  # the last of the summary
    state = trainer.budget.state_dict()
    trainer.budget.begin(0)
    assert trainer.budget.seconds == 0
    trainer.budget.load_state_dict(state)
    assert trainer.budget.seconds == state["seconds"] > 0
