from typing import Any

import pytest
import torch
from torch import Tensor

from hf_mtl.balancing import build_aggregator
from hf_mtl.balancing.aggregators.pcgrad import projected
from hf_mtl.balancing.orders import active_orders, draw_orders
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN, EXPECTATION = golden("aggregator_pcgrad"), golden("aggregator_pcgrad_expectation")


def surgery(rows: Tensor, orders: list[list[int]]) -> Tensor:
    """The paper's loop on whole gradients."""
    result = torch.zeros_like(rows[0])
    for i, order in enumerate(orders):
        row = rows[i].clone()
        for j in order:
            if row @ rows[j] < 0:
                row -= (row @ rows[j]) / (rows[j] @ rows[j]) * rows[j]
        result += row
    return result


@cases(GOLDEN)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_golden_gradient(case: dict[str, Any], reduction: str) -> None:
    rows, orders = tensor(case["inputs"]["jacobian"]), case["inputs"]["orders"]
    aggregator = build_aggregator("pcgrad", num_tasks=len(rows), reduction=reduction)
    assert_near(aggregator(rows, orders=orders), case["expected"][f"gradient_{reduction}"], GOLDEN)
    if reduction == "sum":
        weights = aggregator.weights_from_gramian(rows @ rows.T, orders=orders)  # type: ignore[attr-defined]
        active = rows.norm(dim=1) > 0  # the file weighs zero rows by 1; the row policy by 0
        assert_near(weights[active], tensor(case["expected"]["weights_sum"])[active].tolist(), GOLDEN)


@cases(GOLDEN)
def test_golden_coefficients_of_each_task(case: dict[str, Any]) -> None:
    rows, expected = tensor(case["inputs"]["jacobian"]), tensor(case["expected"]["per_task_coefficients"])
    active = (rows.norm(dim=1) > 0).nonzero().flatten().numpy()
    mine = rows[active]
    found = projected((mine @ mine.T).numpy(), active_orders(case["inputs"]["orders"], active))
    assert_near(tensor(found.tolist()), expected[active][:, active].tolist(), GOLDEN)


@cases(EXPECTATION)
def test_golden_mean_over_orders(case: dict[str, Any]) -> None:
    rows = tensor(case["inputs"]["jacobian"])
    aggregator = build_aggregator("pcgrad", num_tasks=len(rows))
    gramian = rows @ rows.T
    weights = [aggregator.weights_from_gramian(gramian) for _ in range(2000)]  # type: ignore[attr-defined]
    found = torch.stack(weights).mean(dim=0) @ rows
    expected = tensor(case["expected"]["mean_gradient_sum_over_orders"])
    assert float((found - expected).norm()) <= EXPECTATION["rtol"] * float(expected.norm())


@pytest.mark.parametrize("tasks", [3, 7])
def test_it_is_the_papers_loop(tasks: int) -> None:
    rows = random_rows(tasks, 4, seed=tasks)
    orders = draw_orders(tasks, seed=5, draw=0)
    found = build_aggregator("pcgrad", num_tasks=tasks)(rows, orders=orders)
    assert torch.allclose(found, surgery(rows, orders), rtol=1e-9)


def test_orders_may_name_tasks_that_are_absent() -> None:
    rows = random_rows(3, 4)
    rows[1] = 0
    found = build_aggregator("pcgrad", num_tasks=3)(rows, orders=[[1, 2], [0, 2], [0, 1]])
    assert torch.allclose(found, surgery(rows[[0, 2]], [[1], [0]]))


def test_draws_differ_between_steps_and_between_seeds() -> None:
    drawn = [draw_orders(6, seed, draw) for seed in (0, 1) for draw in range(3)]
    assert len({str(orders) for orders in drawn}) == 6
    rows = random_rows(6, 3)
    aggregator, other = build_aggregator("pcgrad", num_tasks=6), build_aggregator("pcgrad", num_tasks=6)
    other.observe(seed=1)
    directions = [aggregator(rows), aggregator(rows), other(rows)]
    assert not torch.allclose(directions[0], directions[1])
    assert not torch.allclose(directions[0], directions[2])


def test_given_orders_leave_the_draws_alone() -> None:
    aggregator = build_aggregator("pcgrad", num_tasks=2)
    aggregator(random_rows(2, 3), orders=[[1], [0]])
    assert aggregator.state_dict() == {"draws": 0}


@pytest.mark.parametrize("orders", [[[1, 1], [0, 2], [0, 1]], [[1], [0, 2], [0, 1]], [[0, 1, 2], [0, 2], [0, 1]]])
def test_what_is_no_order_of_the_others_is_refused(orders: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="needs, for each task, every other task once"):
        build_aggregator("pcgrad", num_tasks=3)(random_rows(3, 3), orders=orders)
