import math
from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting
from hf_mtl.errors import UserError
from tests.balancing.weightings.golden import Golden, derivative, doubles, reloaded

GOLDEN = Golden("slaw")


@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("case", GOLDEN.cases)
def test_weights_of_every_step_equal_the_golden_ones(case: dict[str, Any], restore: bool) -> None:
    beta = case["inputs"]["beta"]
    weighting = build_weighting("slaw", num_tasks=len(case["inputs"]["losses"][0]), beta=beta)
    for losses, expected in zip(case["inputs"]["losses"], case["expected"]["weights"], strict=True):
        weighting = reloaded(weighting, beta=beta) if restore else weighting
        GOLDEN.same(derivative(weighting, losses), expected)  # this step's losses count, as constants
        GOLDEN.same(weighting.weights(), expected)
        GOLDEN.same(reloaded(weighting, beta=beta).weights(), expected)


def test_all_weights_are_one_until_every_task_has_two_observations() -> None:
    weighting = build_weighting("slaw", num_tasks=2)
    for losses in ([1.0, math.nan], [5.0, math.nan], [2.0, math.nan]):
        weighting(doubles(losses), torch.tensor([True, False]))
        assert weighting.weights().tolist() == [1.0, 1.0]
    weighting(doubles([1.0, 1.0]))
    assert weighting.weights().tolist() == [1.0, 1.0]
    weighting(doubles([1.0, 1.5]))
    assert weighting.weights()[0] < weighting.weights()[1]


def test_an_absent_tasks_statistics_do_not_move() -> None:
    weighting = build_weighting("slaw", num_tasks=2, beta=0.5)
    for losses in ([1.0, 1.0], [2.0, 3.0]):
        weighting(doubles(losses))
    before = {key: value.clone() for key, value in weighting.state_dict().items()}
    weighting(doubles([9.0, math.nan]), torch.tensor([True, False]))
    after = weighting.state_dict()
    assert all(after[key][1] == before[key][1] and after[key][0] != before[key][0] for key in before)


def test_constant_losses_are_weighted_equally() -> None:
    weighting = build_weighting("slaw", num_tasks=2)
    for _ in range(5):
        weighting(doubles([3.0, 0.1]))
    assert weighting.weights().tolist() == pytest.approx([1.0, 1.0])


def test_a_constant_loss_counts_as_a_deviation_of_at_least_1e_5() -> None:
    weighting = build_weighting("slaw", num_tasks=2, beta=0.5)
    for loss in (1.0, 3.0, 1.0, 3.0):
        weighting(doubles([2.0, loss]))
    constant, varying = weighting.weights().tolist()
    # Averages of the losses 1, 2, 1.5, 2.25 and of their squares 1, 5, 3, 6; weights go with 1 / deviation.
    assert 1e-5 * constant / varying == pytest.approx((6 - 2.25**2) ** 0.5, rel=1e-3)


@pytest.mark.parametrize("beta", [1.0, -0.1])
def test_a_decay_out_of_range_is_refused(beta: float) -> None:
    with pytest.raises(UserError, match="beta: found .*. Allowed: "):
        build_weighting("slaw", num_tasks=2, beta=beta)
