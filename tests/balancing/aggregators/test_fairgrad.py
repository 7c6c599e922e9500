from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_aggregator
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

PROPORTIONAL, DEFAULT = golden("aggregator_fairgrad_a1p0"), golden("aggregator_fairgrad_a2p0")


def assert_golden(case: dict[str, Any], content: dict[str, Any], alpha: float) -> None:
    rows = tensor(case["inputs"]["jacobian"])
    aggregator = build_aggregator("fairgrad", num_tasks=len(rows), alpha=alpha)
    assert_near(aggregator(rows), case["expected"]["gradient"], content)
    weights = aggregator.weights()
    assert weights is not None
    assert_near(weights, case["expected"]["weights"], content)


@cases(PROPORTIONAL)
def test_golden_alpha_one(case: dict[str, Any]) -> None:
    assert_golden(case, PROPORTIONAL, 1.0)


@cases(DEFAULT)
def test_golden_alpha_two(case: dict[str, Any]) -> None:
    assert_golden(case, DEFAULT, 2.0)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.0, 2.0, 10.0])
@pytest.mark.parametrize("tasks", [2, 5, 16])
def test_gains_are_powers_of_the_weights(alpha: float, tasks: int) -> None:
    rows = random_rows(tasks, 40, seed=tasks) * torch.logspace(-2, 1, tasks, dtype=torch.float64)[:, None]
    aggregator = build_aggregator("fairgrad", num_tasks=tasks, alpha=alpha)
    gains = rows @ aggregator(rows)
    weights = aggregator.weights()
    assert weights is not None
    assert torch.allclose(gains, weights ** (-1 / alpha), rtol=1e-8)


def test_at_alpha_one_it_is_nash_mtl() -> None:
    rows = random_rows(4, 9)
    expected = build_aggregator("nash_mtl", num_tasks=4)(rows)
    assert torch.allclose(build_aggregator("fairgrad", num_tasks=4, alpha=1.0)(rows), expected)


@pytest.mark.parametrize("alpha", [0.0, 0.04, -1.0, float("inf"), float("nan")])
def test_alpha_must_be_positive(alpha: float) -> None:
    with pytest.raises(UserError, match="alpha: found"):
        build_aggregator("fairgrad", num_tasks=2, alpha=alpha)


def test_the_smallest_alpha_stays_finite_where_norms_differ_a_millionfold() -> None:
    rows = random_rows(3, 8) * tensor([1.0, 1e-3, 1e-6])[:, None]
    assert bool(torch.isfinite(build_aggregator("fairgrad", num_tasks=3, alpha=0.05)(rows)).all())
