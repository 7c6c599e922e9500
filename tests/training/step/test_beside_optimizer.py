"""A weighting's own optimizer does what a group in the model's would do."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hf_mtl import MultiTaskTrainingArguments
from hf_mtl.training.step.beside_optimizer import BesideOptimizer
from hf_mtl.training.step.optimizer import add_balancing_group, optimizer_class


def arguments(folder: Path, **options: Any) -> MultiTaskTrainingArguments:
    return MultiTaskTrainingArguments(output_dir=str(folder), use_cpu=True, weight_decay=0.1, **options)


def learned() -> nn.Module:
    weighting = nn.Module()
    weighting.s = nn.Parameter(torch.tensor([0.5, -1.0]))
    return weighting


def step(optimizer: Any, parameter: nn.Parameter, number: int) -> None:
    parameter.grad = torch.tensor([0.3, -0.2]) * (number + 1)
    optimizer()


@pytest.mark.parametrize("optim", ["sgd", "adamw_torch", "adamax"])
@pytest.mark.parametrize("rate", [None, 0.3])
def test_it_steps_as_a_group_of_the_models_optimizer(tmp_path: Path, optim: str, rate: float | None) -> None:
    args = arguments(tmp_path, optim=optim, learning_rate=0.1, balancing_learning_rate=rate)
    kind, options = optimizer_class(args)
    own, grouped = learned(), learned()
    one, all_of_it = (kind([nn.Parameter(torch.zeros(1))], **options) for _ in range(2))
    add_balancing_group(all_of_it, grouped.parameters(), rate or 0.1)
    schedules = [torch.optim.lr_scheduler.LambdaLR(each, lambda n: 1 / (n + 1)) for each in (one, all_of_it)]
    beside = BesideOptimizer(own, args)
    for number in range(4):
        step(lambda: beside.step(one), own.s, number)
        step(all_of_it.step, grouped.s, number)
        one.step()
        for schedule in schedules:
            schedule.step()
    assert torch.equal(own.s, grouped.s)
    assert not torch.equal(own.s, learned().s)


def test_it_goes_on_from_its_state_and_begins_anew_from_none(tmp_path: Path) -> None:
    args = arguments(tmp_path, learning_rate=0.1)
    first, model = learned(), torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    beside = BesideOptimizer(first, args)
    begun = beside.state_dict()
    step(lambda: beside.step(model), first.s, 0)
    second = learned()
    second.load_state_dict(first.state_dict())
    again = BesideOptimizer(second, args)
    again.load_state_dict(copy.deepcopy(beside.state_dict()))
    for weighting, each in ((first, beside), (second, again)):
        step(lambda each=each: each.step(model), weighting.s, 1)
    assert torch.equal(first.s, second.s)
    beside.load_state_dict(begun)
    assert beside.state_dict() == begun == {}


def test_a_weighting_that_learns_nothing_has_none(tmp_path: Path) -> None:
    beside = BesideOptimizer(nn.Module(), arguments(tmp_path))
    beside.step(None)
    beside.load_state_dict({})
    assert beside.inner is None
    assert beside.state_dict() == {}
