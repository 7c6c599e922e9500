from typing import Any

import pytest
import torch

from hf_mtl.balancing import aggregator_class, build_aggregator
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
def test_no_gradient_is_needed_to_know_the_weights(name: str) -> None:
    assert aggregator_class(name).needs == frozenset()
