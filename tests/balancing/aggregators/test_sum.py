from typing import Any

import pytest
import torch

from hf_mtl.balancing import AGGREGATORS, build_aggregator
from hf_mtl.balancing.aggregator import base_names
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN = golden("aggregator_sum_mean")


@cases(GOLDEN)
@pytest.mark.parametrize("name", ["sum", "mean"])
def test_golden_gradient(case: dict[str, Any], name: str) -> None:
    rows = tensor(case["inputs"]["jacobian"])
    assert_near(build_aggregator(name, num_tasks=len(rows))(rows), case["expected"][name], GOLDEN)


def test_the_mean_is_over_the_tasks_of_the_step() -> None:
    rows = random_rows(4, 6)
    rows[2] = 0
    mean = build_aggregator("mean", num_tasks=4)
    assert torch.allclose(mean(rows), rows.sum(dim=0) / 4)
    assert torch.allclose(mean(rows, present=torch.tensor([True, True, False, True])), rows.sum(dim=0) / 3)


def test_a_task_that_is_said_to_be_absent_has_weight_zero() -> None:
    summed = build_aggregator("sum", num_tasks=3)
    weights = summed.weights_from_gramian(torch.eye(3), present=torch.tensor([True, False, True]))  # type: ignore[attr-defined]
    assert weights.tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("name", ["sum", "mean"])
def test_task_gradients_are_needed_as_by_every_aggregator_and_cost_what_they_cost(name: str) -> None:
    cls, other = AGGREGATORS[name], AGGREGATORS["mgda"]
    assert (cls.needs, cls.cost) == (other.needs, other.cost) == ({"gramian"}, "Gramian")
    assert "Needs nothing" not in (cls.__doc__ or "")
    assert "no effect" not in (cls.__doc__ or "")


@pytest.mark.parametrize("name", ["sum", "mean"])
def test_the_scope_decides_which_rows_are_active(name: str) -> None:
    aggregator = build_aggregator(name, num_tasks=2)
    weights = aggregator.weights_from_gramian(torch.diag(tensor([1.0, 0.0])))  # type: ignore[attr-defined]
    assert weights.tolist() == [1.0, 0.0]


def test_wrappers_still_take_them_as_a_base() -> None:
    assert {"sum", "mean"} <= set(base_names({"gramian"}))
