from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from hf_mtl.balancing import build_aggregator
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN = golden("aggregator_upgrad")


@cases(GOLDEN)
def test_golden_gradient_and_weights(case: dict[str, Any]) -> None:
    rows = tensor(case["inputs"]["jacobian"])
    aggregator = build_aggregator("upgrad", num_tasks=len(rows))
    assert_near(aggregator(rows), case["expected"]["gradient"], GOLDEN)
    weights = aggregator.weights()
    assert weights is not None
    assert_near(weights, case["expected"]["weights"], GOLDEN)


@pytest.mark.parametrize("tasks", [2, 4])
def test_weights_are_those_of_a_general_bounded_solver(tasks: int) -> None:
    rows = random_rows(tasks, 5, seed=tasks)
    gramian = (rows @ rows.T).numpy()
    quadratic = gramian / np.trace(gramian) + 1e-2 * np.eye(tasks)
    expected = np.zeros(tasks)
    for row in range(tasks):
        low = np.eye(tasks)[row] / tasks
        bounds = [(value, None) for value in low]
        solved = minimize(
            lambda v: v @ quadratic @ v, low + 0.1, jac=lambda v: 2 * quadratic @ v, bounds=bounds, tol=1e-14
        )
        expected += solved.x
    aggregator = build_aggregator("upgrad", num_tasks=tasks, rho=1e-2)
    aggregator(rows)
    weights = aggregator.weights()
    assert weights is not None
    assert weights.numpy() == pytest.approx(expected, rel=1e-4)


def test_without_conflict_it_is_the_mean() -> None:
    rows = random_rows(3, 6).abs()
    assert torch.allclose(build_aggregator("upgrad", num_tasks=3)(rows), rows.mean(dim=0))


@pytest.mark.parametrize("tasks", [3, 16])
def test_without_regularisation_no_task_is_opposed(tasks: int) -> None:
    rows = random_rows(tasks, 60, seed=1)
    direction = build_aggregator("upgrad", num_tasks=tasks, rho=0.0)(rows)
    assert float((rows @ direction).min()) >= -1e-10 * float(rows.norm(dim=1).max() * direction.norm())


def test_a_negative_rho_is_refused() -> None:
    with pytest.raises(UserError, match="rho: found -1.0"):
        build_aggregator("upgrad", num_tasks=2, rho=-1.0)
