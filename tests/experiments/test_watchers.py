from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import TrainerControl, TrainerState, TrainingArguments

from hf_mtl.experiments.watchers import GiveUp, KeepBest, LearningCurve

ARGS: Any = TrainingArguments


def evaluate(watcher: Any, values: list[float], control: TrainerControl | None = None, model: Any = None) -> None:
    """Evaluate once for each value, each time with other weights."""
    for step, value in enumerate(values, start=1):
        if model is not None:
            nn.init.constant_(model.weight, step)
        state = TrainerState(global_step=step)
        watcher.on_evaluate(ARGS, state, control or TrainerControl(), metrics={"score": value, "loss": -value})


def test_the_parameters_of_the_best_evaluation_come_back() -> None:
    model = nn.Linear(2, 1)
    model.bias.requires_grad_(False)
    keep = KeepBest(model, "score")
    evaluate(keep, [0.1, 0.5, 0.3, 0.5], model=model)
    nn.init.constant_(model.bias, 9)
    keep.on_train_end(ARGS, TrainerState(), TrainerControl())
    assert torch.equal(model.weight, torch.full((1, 2), 2.0))  # of equal ones the first
    assert model.bias.item() == 9  # never trained, so never put back


def test_what_is_frozen_later_comes_back_too() -> None:
    model = nn.Linear(2, 1)
    keep = KeepBest(model, "score")
    model.requires_grad_(False)
    evaluate(keep, [0.1], model=model)
    nn.init.constant_(model.weight, 7)
    keep.on_train_end(ARGS, TrainerState(), TrainerControl())
    assert torch.equal(model.weight, torch.ones(1, 2))


def test_a_run_without_evaluations_keeps_its_last_parameters() -> None:
    model = nn.Linear(2, 1)
    weight = model.weight.detach().clone()
    KeepBest(model, "score").on_train_end(ARGS, TrainerState(), TrainerControl())
    assert torch.equal(model.weight, weight)


def test_a_curve_has_scores_and_what_was_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.5, 10.0, 12.0])
    monkeypatch.setattr("hf_mtl.experiments.watchers.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    curve = LearningCurve("score", "loss")
    spent: Any = SimpleNamespace(budget=SimpleNamespace(record=lambda state: {"flops": 7, "backward_passes": 2}))
    curve.trainer = spent
    for _ in range(2):
        curve.on_step_begin(ARGS, TrainerState(), TrainerControl())
        curve.on_step_end(ARGS, TrainerState(), TrainerControl())
    evaluate(curve, [0.5, 0.25])
    # Of the twelve seconds those between the steps are of evaluations.
    assert curve.points == [
        {"step": 1, "score": 0.5, "loss": -0.5, "flops": 7, "seconds": 3.5},
        {"step": 2, "score": 0.25, "loss": -0.25, "flops": 7, "seconds": 3.5},
    ]
    assert curve.best == curve.points[0]


@pytest.mark.parametrize(
    ("values", "stopped"),
    [([0.9, 0.2], True), ([0.0, 0.3], False), ([0.9], False), ([0.9, 0.4, 0.0], False)],
)
def test_a_trial_is_given_up_where_it_is_behind_at_one_evaluation(values: list[float], stopped: bool) -> None:
    control = TrainerControl()
    evaluate(GiveUp("score", [0.1, 0.3, 0.5], evaluation=2), values, control)
    assert control.should_training_stop == stopped


def test_without_a_rival_nothing_is_given_up() -> None:
    control = TrainerControl()
    evaluate(GiveUp("score", [], evaluation=1), [0.0, 0.0], control)
    assert not control.should_training_stop
