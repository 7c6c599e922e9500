"""PCD against golden values, and against a general solver of quadratic programs."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from hf_mtl.balancing import build_aggregator
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import cases, golden, random_rows, tensor

GOLDEN = golden("aggregator_pcd")
NAMES = ["a", "b", "c"]
EAST = [1.0, 0.0]


def build(count: int = 3, **options: Any) -> Any:
    return build_aggregator("pcd", num_tasks=count, **{"main": 0, **options})


@cases(GOLDEN)
def test_golden_directions_of_consecutive_steps(case: dict[str, Any]) -> None:
    steps = tensor(case["inputs"]["jacobians"])
    aggregator = build(steps.shape[1], tau=case["inputs"]["tau"], **GOLDEN["hyperparameters"])
    for rows, expected in zip(steps, tensor(case["expected"]["gradients"]), strict=True):
        assert float((aggregator(rows) - expected).norm()) <= 1e-12 * float(expected.norm())


def program(rows: Tensor, main: int, tau: float) -> Tensor:
    """The direction by a general solver, on rows of length 1: what the averages make of them in a first step."""
    units = (rows / rows.norm(dim=1, keepdim=True)).numpy()
    others = [row for place, row in enumerate(units) if place != main]
    constraints = [{"type": "ineq", "fun": lambda d, row=row: row @ d - tau} for row in others]
    found = minimize(
        lambda d: 0.5 * ((d - units[main]) ** 2).sum(),
        sum(others) + units[main],
        jac=lambda d: d - units[main],
        constraints=constraints,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.status in (0, 8)  # 8: no step improves it any more
    return tensor(found.x * (float(rows[main].norm()) / np.linalg.norm(found.x)))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tau", [0.0, 0.02, 0.4, 1.0])
def test_the_direction_is_that_of_a_general_solver(seed: int, tau: float) -> None:
    tasks, main = 2 + seed % 4, seed % 2
    rows = random_rows(tasks, 8, seed=seed) * torch.logspace(-2, 1, tasks, dtype=torch.float64)[:, None]
    found = build(tasks, main=main, tau=tau, epsilon=0.0)(rows)
    torch.testing.assert_close(found, program(rows, main, tau), rtol=1e-5, atol=1e-6 * float(found.norm()))


def test_without_conflict_it_is_the_main_tasks_gradient() -> None:
    rows = tensor([EAST, [0.5, 0.5], [2.0, -0.1]])
    assert torch.allclose(build(main=1)(rows), rows[1], rtol=1e-12)


def test_a_task_that_the_main_one_opposes_gets_just_its_share() -> None:
    rows = tensor([EAST, [-3.0, 4.0]])
    d = build(2, tau=0.1)(rows)
    assert float(d.norm()) == pytest.approx(1.0)
    # The nearest point to (1, 0) on the line of products 0.1 with (-0.6, 0.8) is (1, 0) + 0.7 (-0.6, 0.8).
    nearest = tensor([0.58, 0.56])
    assert torch.allclose(d, nearest / nearest.norm(), atol=1e-7)  # epsilon, 1e-8 of the larger average


def test_every_task_has_a_share_of_its_own() -> None:
    rows = tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 5.0]])
    d = build(tau={"b": 0.1, "c": 0.5}, main="a", tasks=NAMES)(rows)
    assert (d / d[0]).tolist() == pytest.approx([1.0, 0.1, 0.5], rel=1e-6)


def test_the_scale_of_a_task_whose_scale_stays_changes_nothing() -> None:
    first, second = build(epsilon=0.0), build(epsilon=0.0)
    factors = tensor([1.0, 1e-4, 30.0])[:, None]
    for seed in range(4):
        rows = random_rows(3, 6, seed=seed)
        assert torch.allclose(second(rows * factors), first(rows), rtol=1e-9)


def test_a_row_that_is_longer_than_it_used_to_be_asks_for_more() -> None:
    """The averages are what a row's length is told by: twice as long is a share of twice the length."""
    rows, longer = tensor([EAST, [0.0, 1.0]]), tensor([EAST, [0.0, 2.0]])
    aggregator = build(2, tau=0.1, beta=0.999, epsilon=0.0)
    for _ in range(1000):
        d = aggregator(rows)
    assert float(d[1] / d[0]) == pytest.approx(0.1)
    d = aggregator(longer)
    squares = (1 - 0.999**1000) * 1.0 * 0.999 + 0.001 * 4.0
    assert float(d[1] / d[0]) == pytest.approx(0.1 * 2 / (squares / (1 - 0.999**1001)) ** 0.5)


def test_epsilon_is_a_fraction_of_the_largest_average() -> None:
    rows = tensor([EAST, [0.0, 1e-3]])
    d = build(2, tau=1.0, epsilon=1e-6)(rows)
    # Both 1e-6: the second row's length is 2^(-1/2), and so is its share.
    assert float(d[1] / d[0]) == pytest.approx(0.5**0.5, rel=1e-5)
    assert torch.allclose(build(2, tau=1.0, epsilon=1e-6)(rows * 1e-5), d * 1e-5, rtol=1e-9)


def test_shares_that_contradict_each_other_are_given_up() -> None:
    rows = tensor([[0.3, 1.0], EAST, [-1.0, 0.0]])
    assert torch.equal(build()(rows), rows[0])
    # Up to what float32 leaves of opposite rows.
    assert torch.equal(build()(rows + tensor([[0.0, 0.0], [0.0, 2e-4], [0.0, 2e-4]])), rows[0])
    # What can be had together, is: both lie 0.01 above the plane.
    d = build(tau=0.001)(rows + tensor([[0.0, 0.0], [0.0, 0.02], [0.0, 0.02]]))
    assert (rows[1:] + tensor([0.0, 0.02])).matmul(d).min() > 0


def test_tasks_that_oppose_each_other_and_ask_for_nothing_leave_what_is_between() -> None:
    rows = tensor([[0.3, 1.0], EAST, [-1.0, 0.0]])
    assert torch.allclose(build(tau=0.0)(rows), tensor([0.0, float(rows[0].norm())]), atol=1e-9)


def test_a_main_task_that_another_opposes_wholly_yields_or_stops() -> None:
    rows = tensor([EAST, [-2.0, 0.0]])
    assert build(2, tau=0.0)(rows).tolist() == [0.0, 0.0]
    assert torch.allclose(build(2, tau=0.02)(rows), tensor([-1.0, 0.0]))


def test_a_main_task_without_gradient_makes_no_update() -> None:
    rows = tensor([[0.0, 0.0], EAST, [0.0, 1.0]])
    assert build()(rows).tolist() == [0.0, 0.0]
    assert build()(rows * tensor([1.0, 1.0, 0.0])[:, None]).tolist() == [0.0, 0.0]


def test_without_the_main_task_a_step_is_the_mean_of_the_others() -> None:
    rows = tensor([[0.0, 0.0], EAST, [0.0, 1.0]])
    aggregator = build()
    assert aggregator(rows, present=torch.tensor([False, True, True])).tolist() == [0.5, 0.5]
    assert aggregator.weights().tolist() == [0.0, 0.5, 0.5]
    alone = build()(rows, present=torch.tensor([False, True, False]))
    assert alone.tolist() == EAST


def test_the_average_of_an_absent_task_rests_and_counts_its_own_steps() -> None:
    aggregator = build(beta=0.5)
    rows = tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 3.0]])
    aggregator(rows)
    without = rows * tensor([1.0, 1.0, 0.0])[:, None]
    aggregator(without, present=torch.tensor([True, True, False]))
    state = aggregator.state_dict()
    assert state["average"].tolist() == [0.75, 3.0, 4.5]
    assert state["steps"].tolist() == [2, 2, 1]
    # A step of one task is remembered too.
    aggregator(rows * tensor([1.0, 0.0, 0.0])[:, None], present=torch.tensor([True, False, False]))
    assert aggregator.state_dict()["steps"].tolist() == [3, 2, 1]


def test_the_result_is_as_long_as_the_main_tasks_gradient() -> None:
    for seed in range(20):
        rows = random_rows(5, 3, seed=seed)
        found = float(build(5, main=3, tau=0.3)(rows).norm())
        assert found == pytest.approx(float(rows[3].norm())) or found == 0.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"main": "d"}, "main: unknown task 'd'. Known: a, b, c."),
        ({"main": 3}, "main: found 3. Allowed: a task, or its place, up to 2."),
        ({"main": -1}, "main: found -1. Allowed: at least 0."),
        ({"tau": 1.5}, "tau: found 1.5. Allowed: at most 1."),
        ({"tau": {"b": 0.1}}, "tau: nothing for c. Give one value for every task but the main one."),
        ({"tau": {"a": 0.1, "b": 0.1, "c": 0.1}}, "tau.a: found 0.1, and the main task is not held to any progress."),
        ({"tau": {"b": 0.1, "c": 0.1, "bb": 0.1}}, "tau.bb: unknown task 'bb'. Known: b, c. Did you mean 'b'?"),
        ({"beta": 1.0}, "beta: found 1.0. Allowed: less than 1."),
        ({"epsilon": -1.0}, "epsilon: found -1.0. Allowed: at least 0."),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as raised:
        build(**{"main": "a", "tasks": NAMES, **options})
    assert f"balancing.aggregator.{said}" in str(raised.value)
