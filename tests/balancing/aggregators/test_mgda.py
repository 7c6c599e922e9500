from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hf_mtl.balancing import build_aggregator
from hf_mtl.balancing.solvers import min_norm_weights
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN = golden("aggregator_mgda")


def least_norm(gramian: np.ndarray) -> float:
    """Minimum of wᵀGw over the simplex, by solving on every set of rows."""
    best = np.inf
    for size in range(1, len(gramian) + 1):
        for chosen in combinations(range(len(gramian)), size):
            system = np.block([[gramian[np.ix_(chosen, chosen)], np.ones((size, 1))], [np.ones((1, size)), 0.0]])
            w = np.linalg.lstsq(system, np.append(np.zeros(size), 1.0), rcond=None)[0][:size]
            if (w >= -1e-12).all():
                best = min(best, float(w @ gramian[np.ix_(chosen, chosen)] @ w))
    return best


@cases(GOLDEN)
def test_golden_gradient_and_weights(case: dict[str, Any]) -> None:
    rows = tensor(case["inputs"]["jacobian"])
    aggregator = build_aggregator("mgda", num_tasks=len(rows))
    direction = aggregator(rows)
    assert_near(direction, case["expected"]["gradient"], GOLDEN, norm=float(rows.norm(dim=1).max()))
    assert float(direction.norm()) == pytest.approx(case["expected"]["min_norm"], rel=1e-9)
    weights, expected = aggregator.weights(), case["expected"]["weights_if_unique"]
    assert weights is not None
    if expected is not None:
        assert_near(weights, expected, GOLDEN, norm=1.0)


def test_golden_weights_are_unique_in_some_cases() -> None:
    assert any(case["expected"]["weights_if_unique"] is not None for case in GOLDEN["cases"])


@pytest.mark.parametrize("tasks", [2, 3, 5, 8])
@pytest.mark.parametrize("parameters", [2, 30])
def test_the_norm_is_the_least_of_the_convex_hull(tasks: int, parameters: int) -> None:
    rows = random_rows(tasks, parameters, seed=tasks) + 0.5
    gramian = (rows @ rows.T).numpy()
    weights = min_norm_weights(gramian)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0)
    # Where the hull holds the origin the minimum is 0, up to rounding of G.
    assert weights @ gramian @ weights == pytest.approx(least_norm(gramian), rel=1e-9, abs=1e-14 * gramian.max())


@pytest.mark.parametrize("tasks", [5, 16])
def test_no_task_is_opposed(tasks: int) -> None:
    rows = random_rows(tasks, 40, seed=3) + 0.3
    direction = build_aggregator("mgda", num_tasks=tasks)(rows)
    # Every projection is at least |g|², the optimality condition.
    assert float((rows @ direction).min()) >= float(direction @ direction) * (1 - 1e-9)


def test_norms_that_differ_a_millionfold_stay_exact() -> None:
    rows = tensor([[1e-6, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1e3]])
    weights = min_norm_weights((rows @ rows.T).numpy())
    inverse = 1 / (rows**2).sum(dim=1).numpy()  # orthogonal rows: w ∝ 1/|g|²
    assert weights == pytest.approx(inverse / inverse.sum(), rel=1e-12)


@pytest.mark.parametrize("normalization", ["none", "l2", "loss", "loss+"])
def test_normalization_divides_the_rows_before_solving(normalization: str) -> None:
    rows, losses = random_rows(3, 8, seed=5), tensor([0.5, 2.0, 4.0])
    norms = rows.norm(dim=1)
    divisors: dict[str, Tensor] = {"none": torch.ones(3), "l2": norms, "loss": losses, "loss+": losses * norms}
    divided = rows / divisors[normalization][:, None]
    weights = tensor(min_norm_weights((divided @ divided.T).numpy()).tolist())
    aggregator = build_aggregator("mgda", num_tasks=3, normalization=normalization)
    assert torch.allclose(aggregator(rows, losses), weights @ rows, rtol=1e-9)
    assert ("losses" in aggregator.needs) == normalization.startswith("loss")


def test_losses_are_asked_for_where_they_are_needed() -> None:
    with pytest.raises(ValueError, match="'mgda' needs losses="):
        build_aggregator("mgda", num_tasks=2, normalization="loss")(random_rows(2, 3))


def test_an_unknown_normalization_is_refused() -> None:
    with pytest.raises(UserError, match=r"normalization: unknown value 'l1'\. Known: "):
        build_aggregator("mgda", num_tasks=2, normalization="l1")
