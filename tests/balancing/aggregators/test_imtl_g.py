from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_aggregator
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN = golden("aggregator_imtl_g")


@cases(GOLDEN)
def test_golden_gradient_weights_and_projection(case: dict[str, Any]) -> None:
    rows = tensor(case["inputs"]["jacobian"])
    aggregator = build_aggregator("imtl_g", num_tasks=len(rows))
    direction = aggregator(rows)
    assert_near(direction, case["expected"]["gradient"], GOLDEN)
    norms = rows.norm(dim=1)
    projections = (rows @ direction)[norms > 0] / norms[norms > 0]
    assert_near(projections, [case["expected"]["equal_projection"]] * len(projections), GOLDEN)
    weights = aggregator.weights()
    assert weights is not None
    assert_near(weights, case["expected"]["weights"], GOLDEN)


def test_every_unit_gradient_has_the_same_projection() -> None:
    rows = random_rows(4, 9) * tensor([1.0, 10.0, 0.01, 3.0])[:, None]
    projections = (rows / rows.norm(dim=1, keepdim=True)) @ build_aggregator("imtl_g", num_tasks=4)(rows)
    assert torch.allclose(projections, projections[0].expand(4), rtol=1e-9)


@pytest.mark.parametrize("rows", [[[1.0, 2.0], [-1.0, -2.0]], [[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]]])
def test_where_the_weights_sum_to_nothing_or_rows_cancel_the_result_vanishes(rows: list[list[float]]) -> None:
    direction = build_aggregator("imtl_g", num_tasks=len(rows))(tensor(rows))
    assert float(direction.norm()) < 1e-6


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_exactly_opposed_tasks_cancel_and_are_not_blown_up(seed: int, dtype: torch.dtype) -> None:
    row = random_rows(1, 7, seed=seed)
    rows = torch.cat([row, -(0.1 + 0.3 * seed) * row]).to(dtype)
    aggregator = build_aggregator("imtl_g", num_tasks=2)
    # Uniform weights, or C is regular by the rows' rounding: the equal projection of opposed rows is 0.
    assert float(aggregator(rows).norm()) <= float(rows.norm(dim=1).max())
