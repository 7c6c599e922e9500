import math
from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting
from hf_mtl.errors import UserError
from tests.balancing.weightings.golden import Golden, derivative, doubles, reloaded

GOLDEN = Golden("uw_so")


@pytest.mark.parametrize("case", GOLDEN.cases)
def test_weights_and_total_equal_the_golden_ones(case: dict[str, Any]) -> None:
    losses, expected = case["inputs"]["losses"], case["expected"]
    weighting = build_weighting("uw_so", num_tasks=len(losses), temperature=case["inputs"]["temperature"])
    GOLDEN.same(weighting(doubles(losses)), expected["total"])
    GOLDEN.same(weighting.weights(), expected["weights"])
    GOLDEN.same(derivative(weighting, losses), expected["weights"])  # the weights are constants


def test_an_absent_task_takes_its_share_by_its_last_loss() -> None:
    weighting = build_weighting("uw_so", num_tasks=3)
    weighting(doubles([1.0, 2.0, 0.5]))
    weighting(doubles([0.25, math.nan, 1.0]), torch.tensor([True, False, True]))
    expected = torch.softmax(doubles([4.0, 0.5, 1.0]), 0)
    assert torch.allclose(weighting.weights(), expected, rtol=1e-14)
    assert torch.allclose(reloaded(weighting).weights(), expected, rtol=1e-14)


def test_one_task_a_step_starts_as_equal_weighting() -> None:
    weighting = build_weighting("uw_so", num_tasks=4)
    present = torch.tensor([False, False, True, False])
    assert float(weighting(doubles([9.0, 9.0, 0.3, 9.0]), present)) == pytest.approx(0.3)  # kappa = 4, w = 1/4
    assert weighting.weights().tolist() == pytest.approx([0.25] * 4)


def test_a_large_temperature_is_equal_weighting() -> None:
    weighting = build_weighting("uw_so", num_tasks=2, temperature=1e9)
    weighting(doubles([0.01, 5.0]))
    assert weighting.weights().tolist() == pytest.approx([0.5, 0.5], abs=1e-7)


def test_a_loss_of_zero_takes_all_weight() -> None:
    weighting = build_weighting("uw_so", num_tasks=2)
    assert derivative(weighting, [0.0, 1.0]).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float) -> None:
    with pytest.raises(UserError, match="temperature: found .*. Allowed: "):
        build_weighting("uw_so", num_tasks=2, temperature=temperature)
