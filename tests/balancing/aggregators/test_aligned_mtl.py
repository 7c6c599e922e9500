from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_aggregator
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN = golden("aggregator_aligned_mtl")


@cases(GOLDEN)
def test_golden_gradient_and_weights(case: dict[str, Any]) -> None:
    rows, expected = tensor(case["inputs"]["jacobian"]), case["expected"]
    aggregator = build_aggregator("aligned_mtl", num_tasks=len(rows))
    assert_near(aggregator(rows), expected["gradient"], GOLDEN)
    weights = aggregator.weights()
    assert weights is not None
    assert_near(weights, expected["weights"], GOLDEN)


@cases(GOLDEN)
def test_golden_mean_preference_is_the_mean_over_the_tasks_that_have_a_gradient(case: dict[str, Any]) -> None:
    rows = tensor(case["inputs"]["jacobian"])
    mean = build_aggregator("aligned_mtl", num_tasks=len(rows), reduction="mean")
    found = mean(rows, present=rows.norm(dim=1) > 0)
    assert_near(found, case["expected"]["gradient_mean_preference"], GOLDEN)


@pytest.mark.parametrize(("scale_mode", "place"), [("min", 0), ("median", 1), ("rmse", None)])
def test_rows_become_orthogonal_and_equally_long(scale_mode: str, place: int | None) -> None:
    rows = random_rows(3, 7)
    left, values, right = torch.linalg.svd(rows, full_matrices=False)
    squares = values.flip(0) ** 2
    length = squares.mean().sqrt() if place is None else squares[place].sqrt()
    direction = build_aggregator("aligned_mtl", num_tasks=3, scale_mode=scale_mode)(rows)
    assert torch.allclose(direction, length * (left @ right).sum(dim=0), rtol=1e-9)


def test_a_repeated_task_counts_as_one_direction() -> None:
    row = random_rows(1, 5)
    direction = build_aggregator("aligned_mtl", num_tasks=2)(torch.cat([row, row]))
    assert torch.allclose(direction, 2 * row[0])


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(UserError, match=r"scale_mode: unknown value 'max'\. Known: "):
        build_aggregator("aligned_mtl", num_tasks=2, scale_mode="max")


def test_the_median_of_an_even_number_of_scales_is_the_mean_of_the_middle_two() -> None:
    rows = torch.diag(tensor([1.0, 2.0, 4.0, 8.0]))
    direction = build_aggregator("aligned_mtl", num_tasks=4, scale_mode="median")(rows)
    assert torch.allclose(direction, torch.full((4,), 10.0, dtype=torch.float64).sqrt())
