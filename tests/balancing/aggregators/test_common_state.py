"""What every registered aggregator remembers, and that it can be restored."""

from typing import Any

import pytest
import torch
from torch import Tensor

from hf_mtl.errors import CheckpointError
from tests.balancing.aggregators.family import (
    REMEMBERING,
    ROWS,
    P,
    T,
    build,
    every_aggregator,
    has_option,
    step,
)
from tests.balancing.aggregators.golden import random_rows


@every_aggregator
@pytest.mark.parametrize("saved_after", range(4))
def test_state_restored_between_any_two_steps_changes_nothing(name: str, saved_after: int) -> None:
    options = {"base": "gradvac"} if has_option(name, "base") else REMEMBERING.get(name, {})
    steps = [random_rows(T, P, seed=seed) for seed in range(5)]
    steps[2][1] = 0
    first, resumed = build(name, **options), build(name, **options)
    state: dict[str, Any] = {}
    expected = []
    for place, rows in enumerate(steps):
        if place == saved_after:
            state = first.state_dict()
        expected.append(step(first, rows))
    resumed.load_state_dict(state)
    for rows, direction in zip(steps[saved_after:], expected[saved_after:], strict=True):
        assert torch.equal(step(resumed, rows), direction)


@every_aggregator
def test_state_is_flat_tensors_and_plain_values(name: str) -> None:
    aggregator = build(name)
    step(aggregator, ROWS)
    for key, value in aggregator.state_dict().items():
        assert isinstance(key, str)
        assert isinstance(value, (Tensor, int, float))


@every_aggregator
def test_the_state_of_another_method_is_refused(name: str) -> None:
    with pytest.raises(CheckpointError, match="aggregator: the checkpoint has sigma, which is not the state of"):
        build(name).load_state_dict({"sigma": 1.0})
