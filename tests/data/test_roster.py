"""Steps in which some tasks take no part."""

from typing import Any

import numpy as np
import pytest

from hf_mtl.data.plan import Planner
from hf_mtl.data.roster import Roster
from hf_mtl.errors import UserError


def roster(coefficients: list[list[float]], redistributed: bool = False) -> Roster:
    gamma = np.array(coefficients)
    return Roster(gamma, np.ones(gamma.shape), np.full(gamma.shape, redistributed))


def planner_of(window: int = 4, **options: Any) -> Planner:
    return Planner({"a": 50, "b": 30, "c": 20}, 10, seed=3, window_steps=window, **options)


THREE = np.array([0.5, 0.3, 0.2])


def test_dropping_a_task_shrinks_the_step_and_leaves_the_others_rows() -> None:
    chosen = planner_of()
    state = chosen.first_window(THREE)
    whole, _ = chosen.window_counts(state)
    counts, nominal = chosen.window_counts(state, roster([[1, 1, 1], [1, 0, 1], [1, 0, 0], [1, 1, 0]]))
    np.testing.assert_array_equal(nominal, whole)
    np.testing.assert_array_equal(counts[:, 0], whole[:, 0])
    assert counts[1].tolist() == [whole[1, 0], 0, whole[1, 2]]
    assert counts[2].sum() == whole[2, 0] < 10


def test_redistributing_keeps_the_step_full() -> None:
    chosen = planner_of()
    state = chosen.first_window(THREE)
    counts, nominal = chosen.window_counts(state, roster([[1, 0, 1], [1, 0, 0], [0, 0, 1], [1, 1, 1]], True))
    np.testing.assert_array_equal(counts, nominal)
    assert counts.sum(axis=1).tolist() == [10] * 4
    assert counts[1].tolist() == [10, 0, 0]
    assert counts[2].tolist() == [0, 0, 10]


def test_a_step_whose_rows_would_all_be_dropped_keeps_one() -> None:
    chosen = Planner({"a": 50, "b": 30, "c": 40}, 4, seed=3, window_steps=400)
    state = chosen.first_window(np.array([0.03, 0.06, 0.91]))
    counts, nominal = chosen.window_counts(state, roster([[1, 1, 0]] * 400))
    whole, _ = chosen.window_counts(state)
    empty = whole[:, :2].sum(axis=1) == 0
    assert 0 < empty.sum() < 400
    assert (counts[empty].sum(axis=1) == 1).all()
    # Between the tasks that are left, by their probabilities; 250 draws have a standard error of 0.03.
    assert counts[empty, 1].mean() == pytest.approx(2 / 3, abs=0.1)
    assert (nominal.sum(axis=1) == 4).all()
    np.testing.assert_array_equal(nominal[~empty], whole[~empty])
    plans = chosen.window_plans(state, roster([[1, 1, 0]] * 400))
    assert all(np.array_equal(plan.counts, counts[plan.step]) for plan in plans)


def test_the_coefficient_of_a_task_that_sits_out_is_zero() -> None:
    chosen = planner_of(window=40)
    some = Roster(np.full((40, 3), 0.5), np.tile([0.5, 1.0, 1.0], (40, 1)), np.zeros((40, 3), dtype=bool))
    for plan in chosen.window_plans(chosen.first_window(THREE), some):
        assert plan.coefficients.tolist() == [0.5 * (plan.counts[0] > 0), 0.5, 0.5]


@pytest.mark.parametrize("one_task", [False, True])
def test_a_dropped_task_is_continued_where_it_stopped(one_task: bool) -> None:
    chosen = planner_of(one_task_per_step=one_task)
    absent = roster([[1, 0, 1]] * 4)
    first = chosen.first_window(THREE)
    second = chosen.next_window(first, THREE, absent)
    assert second.cursors[1] == 0
    assert second.cursors.sum() == sum(len(plan.rows) for plan in chosen.window_plans(first, absent))
    third = chosen.next_window(second, THREE)
    rows = [plan.rows[plan.tasks == 1] for plan in chosen.window_plans(second) + chosen.window_plans(third)]
    seen = np.concatenate(rows)[:30]
    assert len(set(seen.tolist())) == len(seen)


def test_participation_is_a_probability() -> None:
    chosen = planner_of(window=4000)
    state = chosen.first_window(THREE)
    some = np.tile([0.3, 1.0, 1.0], (4000, 1))
    counts, _ = chosen.window_counts(state, Roster(np.ones((4000, 3)), some, np.zeros((4000, 3), dtype=bool)))
    # 4,000 draws: the standard error of a share of 0.3 is 0.007.
    assert (counts[:, 0] > 0).mean() == pytest.approx(0.3, abs=0.03)


def test_without_any_task_in_a_step_the_schedules_are_to_blame() -> None:
    chosen = planner_of()
    with pytest.raises(UserError, match="no task takes part"):
        chosen.window_counts(chosen.first_window(THREE), roster([[0, 0, 0]] * 4, True))
