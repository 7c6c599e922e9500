import math
import warnings
from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting
from tests.balancing.weightings.golden import Golden, derivative, doubles

GOLDEN = Golden("gls")


@pytest.mark.parametrize("case", GOLDEN.cases)
def test_total_and_effective_weights_equal_the_golden_ones(case: dict[str, Any]) -> None:
    losses, expected = case["inputs"]["losses"], case["expected"]
    weighting = build_weighting("gls", num_tasks=len(losses))
    GOLDEN.same(weighting(doubles(losses)), expected["total"])
    GOLDEN.same(weighting.weights(), expected["effective_weights"])
    GOLDEN.same(derivative(weighting, losses), expected["effective_weights"])


def test_a_partial_step_is_the_mean_of_its_own_tasks_whatever_their_exposure() -> None:
    weighting = build_weighting("gls", num_tasks=3)
    present = torch.tensor([True, False, True])
    losses = doubles([2.0, math.nan, 8.0])
    assert float(weighting(losses, present, torch.tensor([2.9, 0.0, 0.1]))) == pytest.approx(4.0)
    assert weighting.weights().tolist() == pytest.approx([1.0, 0.0, 0.25])  # GLS / (m L)


def test_one_present_task_gives_its_loss_and_is_said_once() -> None:
    weighting = build_weighting("gls", num_tasks=2)
    with pytest.warns(UserWarning, match="the weighting 'gls' balances only the tasks of one step"):
        assert float(weighting(doubles([3.0, 1.0]), torch.tensor([True, False]))) == pytest.approx(3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weighting(doubles([3.0, 1.0]), torch.tensor([True, False]))
        build_weighting("gls", num_tasks=1)(doubles([3.0]))


def test_a_loss_of_zero_does_not_end_the_training_of_the_others() -> None:
    gradient = derivative(build_weighting("gls", num_tasks=2), [0.0, 1.0])
    assert gradient.tolist() == pytest.approx([0.0, 1e-4 / 2])
