from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_aggregator
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN = golden("aggregator_nash_mtl")


@cases(GOLDEN)
def test_golden_gradient_and_weights(case: dict[str, Any]) -> None:
    rows = tensor(case["inputs"]["jacobian"])
    aggregator = build_aggregator("nash_mtl", num_tasks=len(rows))
    direction = aggregator(rows)
    assert_near(direction, case["expected"]["gradient"], GOLDEN)
    assert float(direction.norm()) == pytest.approx(case["expected"]["gradient_norm"], rel=1e-8)
    weights = aggregator.weights()
    assert weights is not None
    assert_near(weights, case["expected"]["weights"], GOLDEN)
    residuals = (weights * (rows @ direction) - 1.0)[rows.norm(dim=1) > 0]
    # The reference solution's own residual, up to what the spec allows.
    assert float(residuals.abs().max()) <= case["expected"]["residual_max_relative"] + 1e-10


@pytest.mark.parametrize("tasks", [2, 5, 16])
@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_every_weight_is_the_inverse_of_its_tasks_gain(tasks: int, spread: float) -> None:
    rows = random_rows(tasks, 50, seed=tasks)
    rows = rows * torch.logspace(-spread, spread, tasks, dtype=torch.float64)[:, None]
    aggregator = build_aggregator("nash_mtl", num_tasks=tasks)
    direction = aggregator(rows)
    weights = aggregator.weights()
    assert weights is not None
    assert torch.allclose(weights * (rows @ direction), torch.ones(tasks, dtype=torch.float64), rtol=1e-9)


REPEATED = {
    "twice the same": [[1.0, 2.0], [1.0, 2.0]],
    "a multiple": [[1.0, 2.0], [1e3, 2e3], [2.0, -0.5]],
    "three in a plane": [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]],
    "two pairs": [[1.0, 0.0], [1.0, 0.0], [-0.5, 1.0], [-0.5, 1.0]],
}


@pytest.mark.parametrize("case", REPEATED)
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_dependent_rows_that_do_not_cancel_are_solved_without_a_ridge(case: str, alpha: float) -> None:
    rows = tensor(REPEATED[case])
    aggregator = build_aggregator("fairgrad", num_tasks=len(rows), alpha=alpha)
    if alpha == 1.0:
        aggregator = build_aggregator("nash_mtl", num_tasks=len(rows))
    gains = rows @ aggregator(rows)
    weights = aggregator.weights()
    assert weights is not None
    assert float((weights ** (1 / alpha) * gains - 1).abs().max()) <= 1e-10


def test_the_scale_of_one_loss_changes_nothing() -> None:
    rows = random_rows(3, 8)
    aggregator = build_aggregator("nash_mtl", num_tasks=3)
    assert torch.allclose(aggregator(rows * tensor([1e3, 1.0, 1e-4])[:, None]), aggregator(rows), rtol=1e-8)


def test_rows_that_cancel_have_finite_weights_and_a_small_result() -> None:
    aggregator = build_aggregator("nash_mtl", num_tasks=2)
    assert float(aggregator(tensor([[1.0, 2.0], [-1.0, -2.0]])).norm()) < 1e-3
    weights = aggregator.weights()
    assert weights is not None
    assert float(weights.max()) < 1e5


def test_max_norm_bounds_the_result() -> None:
    rows = random_rows(4, 6)
    free, bounded = build_aggregator("nash_mtl", num_tasks=4), build_aggregator("nash_mtl", num_tasks=4, max_norm=0.5)
    assert torch.allclose(bounded(rows), free(rows) * 0.5 / 2.0, rtol=1e-8)
    assert torch.allclose(build_aggregator("nash_mtl", num_tasks=4, max_norm=3.0)(rows), free(rows))


def test_weights_are_carried_between_solves() -> None:
    first, second, third = (random_rows(3, 6, seed=seed) for seed in range(3))
    lazy, eager = build_aggregator("nash_mtl", num_tasks=3, every=2), build_aggregator("nash_mtl", num_tasks=3)
    expected = eager(first)
    carried = eager.weights()
    assert carried is not None
    assert torch.equal(lazy(first), expected)
    assert torch.allclose(lazy(second), carried @ second)
    assert torch.equal(lazy(third), eager(third))


def test_a_task_that_was_never_solved_for_brings_the_solve_forward() -> None:
    absent, present = random_rows(3, 6), random_rows(3, 6, seed=1)
    absent[2] = 0
    lazy, eager = build_aggregator("nash_mtl", num_tasks=3, every=100), build_aggregator("nash_mtl", num_tasks=3)
    lazy(absent)
    assert torch.equal(lazy(present), eager(present))


def test_a_solve_without_a_task_forgets_its_weight() -> None:
    first, second, partial, last = (random_rows(3, 6, seed=seed) for seed in range(4))
    partial[2] = 0
    lazy, eager = build_aggregator("nash_mtl", num_tasks=3, every=2), build_aggregator("nash_mtl", num_tasks=3)
    for rows in (first, second, partial):  # solved, carried, solved for two tasks
        lazy(rows)
    assert lazy.state_dict()["carried"][2] == 0
    assert torch.equal(lazy(last), eager(last))


@pytest.mark.parametrize(
    ("options", "said"), [({"max_norm": -1.0}, "max_norm: found -1.0"), ({"every": 0}, "every: found 0")]
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_aggregator("nash_mtl", num_tasks=2, **options)
