import math

import pytest
import torch
from torch import Tensor, nn

from hf_mtl.balancing.base import LossWeighting, one_per_task, seen_tasks, task_values


class Given(LossWeighting):
    """Weights 1, 2, 3 with penalties 10, 20, 30."""

    def coefficients(self) -> Tensor:
        return torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)

    def penalties(self) -> Tensor:
        return torch.tensor([10.0, 20.0, 30.0], dtype=torch.float64)


class Nothing(LossWeighting):
    """Weights 0, with penalties of 10."""

    def coefficients(self) -> Tensor:
        return torch.zeros(3, dtype=torch.float64)

    def penalties(self) -> Tensor:
        return torch.full((3,), 10.0, dtype=torch.float64)


class Learned(LossWeighting):
    """Weights 2 + s with penalties -s, s = 0."""

    def __init__(self, num_tasks: int, weight_sum: float | None = None):
        super().__init__(num_tasks, weight_sum)
        self.s = nn.Parameter(torch.zeros(num_tasks, dtype=torch.float64))

    def coefficients(self) -> Tensor:
        return 2.0 + self.s

    def penalties(self) -> Tensor:
        return -self.s


LOSSES = torch.tensor([0.5, 0.25, 4.0], dtype=torch.float64)
PARTLY = torch.tensor([True, False, True])


def test_the_scalar_is_the_exposed_sum_of_data_terms_and_penalties() -> None:
    exposure = torch.tensor([0.5, 2.0, 0.25], dtype=torch.float64)
    expected = 0.5 * (0.5 + 10) + 2 * (0.5 + 20) + 0.25 * (12 + 30)
    assert float(Given(3)(LOSSES, exposure=exposure)) == expected


def test_without_exposure_every_task_counts_once() -> None:
    assert float(Given(3)(LOSSES)) == (0.5 + 10) + (0.5 + 20) + (12 + 30)


def test_without_exposure_present_tasks_count_as_much_as_all_would() -> None:
    assert float(Given(3)(LOSSES, present=PARTLY)) == 3 / 2 * ((0.5 + 10) + (12 + 30))


@pytest.mark.parametrize("anything", [math.nan, math.inf, -7.0])
def test_the_loss_of_an_absent_task_may_be_anything(anything: float) -> None:
    losses = LOSSES.clone().requires_grad_()
    with torch.no_grad():
        losses[1] = anything
    total = Given(3)(losses, PARTLY)
    total.backward()
    assert total.item() == 1.5 * (10.5 + 42)
    assert losses.grad is not None
    assert losses.grad.tolist() == [1.5, 0.0, 4.5]


def test_an_absent_task_keeps_its_weight_and_the_others_are_not_rescaled() -> None:
    weighting = Given(3)
    weighting(LOSSES, PARTLY)
    assert weighting.weights().tolist() == [1.0, 2.0, 3.0]


def test_a_step_without_any_task_is_worth_nothing() -> None:
    assert float(Given(3)(LOSSES, torch.zeros(3, dtype=torch.bool))) == 0.0


def test_weight_sum_rescales_coefficients_and_penalties_alike() -> None:
    weighting = Given(3, weight_sum=3.0)
    total = weighting(LOSSES)
    assert weighting.weights().tolist() == [0.5, 1.0, 1.5]
    assert total.item() == 0.5 * 0.5 + 0.25 + 1.5 * 4 + 30


def test_weight_sum_is_no_function_that_learned_parameters_see() -> None:
    weighting = Learned(3, weight_sum=3.0)
    weighting(LOSSES).backward()
    assert weighting.s.grad is not None
    assert weighting.s.grad.tolist() == pytest.approx((0.5 * (LOSSES - 1.0)).tolist())  # at w = 2, 2, 2


def test_weights_that_sum_to_nothing_are_left_alone() -> None:
    weighting = Nothing(3, weight_sum=3.0)
    assert weighting.weights().tolist() == [0.0] * 3
    assert float(weighting(LOSSES)) == 30.0
    assert weighting.weights().tolist() == [0.0] * 3


def test_weights_before_the_first_step_are_those_that_it_uses() -> None:
    weighting = Given(3, weight_sum=3.0)
    before = weighting.weights()
    weighting(LOSSES)
    assert before.tolist() == weighting.weights().tolist() == [0.5, 1.0, 1.5]


def test_the_scalar_has_the_losses_dtype() -> None:
    assert Given(3)(LOSSES.float()).dtype == torch.float32
    assert Given(3)(LOSSES).dtype == torch.float64


def test_a_weighting_that_defines_nothing_says_so() -> None:
    with pytest.raises(TypeError, match="LossWeighting defines neither"):
        LossWeighting(2)(torch.ones(2))


def test_a_method_of_no_tasks_is_refused() -> None:
    with pytest.raises(ValueError, match="num_tasks is 0"):
        Given(0)


def test_one_positive_number_per_task_is_read() -> None:
    assert one_per_task([1, 2.5], 2, "weights").tolist() == [1.0, 2.5]
    assert one_per_task(torch.ones(2, dtype=torch.int64), 2, "sizes").dtype == torch.float64


@pytest.mark.parametrize("values", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, math.nan], [1.0, math.inf]])
def test_other_than_one_positive_number_per_task_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"weights is .*; needs one positive number for each of 2 tasks"):
        one_per_task(values, 2, "weights")


def test_the_scalar_alone_leaves_the_last_weights() -> None:
    weighting = Given(3)
    assert weighting.scalar(LOSSES, PARTLY).item() == weighting(LOSSES, PARTLY).item()
    seen = weighting.weights()
    weighting.scalar(2 * LOSSES)
    assert weighting.weights() is seen


def test_a_method_declares_nothing_unless_it_needs_something() -> None:
    assert Given(3).needs_now() == Given.needs == frozenset()
    assert Given.additive
    assert Given.cost == "nothing"
    assert Given.sums_to == "own"


def test_one_number_per_task_is_read_as_double() -> None:
    like = torch.zeros(2)
    assert task_values([1, -2], like, "norms").tolist() == [1.0, -2.0]
    assert task_values(torch.ones(2, requires_grad=True), like, "norms").dtype == torch.float64
    with pytest.raises(ValueError, match="norms has 3 values; needs one for each of 2 tasks"):
        task_values([1, 2, 3], like, "norms")


def test_an_observation_is_of_the_present_tasks_or_of_those_with_a_gradient() -> None:
    sizes = torch.tensor([0.0, 2.0, math.nan, math.inf])
    assert seen_tasks(None, sizes).tolist() == [False, True, False, False]
    assert seen_tasks([True, False, True, True], sizes).tolist() == [True, False, False, False]
