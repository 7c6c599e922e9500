from typing import Any

import numpy as np
import pytest
import torch

from hf_mtl.balancing import build_aggregator
from hf_mtl.balancing.aggregators.cagrad import conflict_averse_weights
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN = golden("aggregator_cagrad")


@cases(GOLDEN)
@pytest.mark.parametrize(("rescale", "key"), [(0, "gradient"), (1, "gradient_rescale1")])
def test_golden_gradient(case: dict[str, Any], rescale: int, key: str) -> None:
    rows = tensor(case["inputs"]["jacobian"])
    direction = build_aggregator("cagrad", num_tasks=len(rows), c=0.5, rescale=rescale)(rows)
    assert_near(direction, case["expected"][key], GOLDEN, norm=float(rows.mean(dim=0).norm()))


@cases(GOLDEN)
def test_golden_weights(case: dict[str, Any]) -> None:
    rows = tensor(case["inputs"]["jacobian"])
    aggregator = build_aggregator("cagrad", num_tasks=len(rows), c=0.5, rescale=0)
    aggregator(rows)
    weights = aggregator.weights()
    assert weights is not None
    assert_near(weights, case["expected"]["weights"], GOLDEN, norm=1.0)


@cases(GOLDEN)
def test_golden_smallest_projection(case: dict[str, Any]) -> None:
    rows = tensor(case["inputs"]["jacobian"])
    active = rows[rows.norm(dim=1) > 0]
    direction = build_aggregator("cagrad", num_tasks=len(rows), c=0.5, rescale=0)(rows)
    smallest = float((active @ direction).min())
    assert smallest == pytest.approx(case["expected"]["inner_minimum_over_tasks"], rel=GOLDEN["rtol"])


@pytest.mark.parametrize("tasks", [2, 4, 16])
@pytest.mark.parametrize("c", [0.01, 0.4, 0.95])
def test_no_direction_in_the_ball_serves_the_worst_task_better(tasks: int, c: float) -> None:
    rows = random_rows(tasks, 30, seed=tasks) + 0.2
    mean = rows.mean(dim=0)
    found = build_aggregator("cagrad", num_tasks=tasks, c=c, rescale=0)(rows)
    assert float((found - mean).norm()) <= c * float(mean.norm()) * (1 + 1e-9)
    # Duality: the best smallest projection is the inner objective's minimum; every x bounds it from above.
    x = np.random.default_rng(0).dirichlet(np.full(tasks, 0.5), size=500)
    mixed = tensor(x.tolist()) @ rows
    bounds = mixed @ mean + c * mean.norm() * mixed.norm(dim=1)
    smallest = float((rows @ found).min())
    assert smallest <= float(bounds.min()) * (1 + 1e-9)
    weights = conflict_averse_weights((rows @ rows.T).numpy(), c, trust=1.0)
    assert weights is not None
    own = tensor(weights.tolist()) - 1 / tasks
    mixed = own / own.sum() @ rows
    assert smallest == pytest.approx(float(mixed @ mean + c * mean.norm() * mixed.norm()), rel=1e-7)


def test_without_a_radius_it_is_the_mean() -> None:
    rows = random_rows(3, 5)
    assert torch.allclose(build_aggregator("cagrad", num_tasks=3, c=0.0)(rows), rows.mean(dim=0))


@pytest.mark.parametrize("rescale", [0, 1])
@pytest.mark.parametrize("opposed", [0.0, 1e-9])
def test_where_the_correction_vanishes_it_is_the_mean_itself(rescale: int, opposed: float) -> None:
    # x = (1/2, 1/2, 0), the only one that costs nothing
    rows = tensor([[1.0, opposed], [-1.0, 0.0], [0.0, 1.0]])
    direction = build_aggregator("cagrad", num_tasks=3, c=0.4, rescale=rescale)(rows)
    assert torch.allclose(direction, rows.mean(dim=0))


def test_a_mean_of_zero_stays_zero() -> None:
    rows = tensor([[1.0, 2.0], [-1.0, -2.0]])
    assert build_aggregator("cagrad", num_tasks=2)(rows).tolist() == [0.0, 0.0]


def test_rescaling_divides_by_one_plus_c_squared() -> None:
    rows = random_rows(3, 5)
    plain, rescaled = (build_aggregator("cagrad", num_tasks=3, c=0.3, rescale=value)(rows) for value in (0, 1))
    assert torch.allclose(rescaled, plain / 1.09)


@pytest.mark.parametrize(
    ("options", "said"), [({"c": 1.0}, "c: found 1.0"), ({"rescale": 2}, "rescale: unknown value 2")]
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_aggregator("cagrad", num_tasks=2, **options)
