import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_mtl.data.mixture import Mixture
from hf_mtl.data.plan import Planner, StepPlan
from hf_mtl.data.roster import Roster
from hf_mtl.data.steps import StepSource
from hf_mtl.errors import CheckpointError
from tests.courses import FixedCourse

SIZES = {"large": 97, "small": 23, "tiny": 5}
TOTAL = 60


def source(
    mixture: dict[str, Any] | None = None, total: int = TOTAL, course: FixedCourse | None = None, **planner: Any
) -> StepSource:
    options: dict[str, Any] = {"sizes": SIZES, "rows_per_step": 16, "seed": 0, "window_steps": 10, **planner}
    annealed = mixture or {"anneal": {"start": 1.0, "end": 9.0}}
    return StepSource(Mixture(options["sizes"], **annealed), Planner(**options), course or FixedCourse(total))


def content(plan: StepPlan) -> tuple[int, list[int], list[int], list[int]]:
    return plan.step, plan.counts.tolist(), plan.tasks.tolist(), plan.rows.tolist()


UNINTERRUPTED = [content(plan) for first in [source()] for plan in map(first.plan, range(TOTAL))]


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint does to a state: tensors stay, the rest becomes JSON."""
    plain = {key: value for key, value in state.items() if not isinstance(value, torch.Tensor)}
    tensors = {key: value.clone() for key, value in state.items() if isinstance(value, torch.Tensor)}
    return {**json.loads(json.dumps(plain)), **tensors}


@settings(max_examples=25)
@given(st.integers(0, TOTAL - 1), st.data())
def test_a_restored_source_plans_what_the_uninterrupted_one_does(saved_at: int, data: st.DataObject) -> None:
    first = source()
    first.plan(saved_at)
    resumed = source()
    resumed.load_state_dict(through_a_file(first.state_dict()))
    start = saved_at // 10 * 10
    assert resumed.state.start == start
    step = data.draw(st.integers(start, TOTAL - 1))
    assert content(resumed.plan(step)) == UNINTERRUPTED[step]


@pytest.mark.parametrize("name", SIZES)
def test_the_coming_rows_are_those_that_the_plan_hands_out_next(name: str) -> None:
    """But for the end of a pass that has too few of them left."""
    plans, index = source(), list(SIZES).index(name)
    handed_out = [row for plan in map(plans.plan, range(TOTAL)) for row in plan.rows[plan.tasks == index].tolist()]
    asked, given = source(), 0
    for step in range(TOTAL - 1):
        given += int((asked.plan(step).tasks == index).sum())
        rows = asked.coming_rows(name, step + 1, most=4).tolist()
        assert len(set(rows)) == 4
        begin = given if given % SIZES[name] <= SIZES[name] - 4 else -(-given // SIZES[name]) * SIZES[name]
        if begin + 4 <= len(handed_out):
            assert rows == handed_out[begin : begin + 4]
    assert sorted(source().coming_rows("tiny", 3, most=16).tolist()) == list(range(5))


def test_looking_at_coming_rows_takes_none() -> None:
    looking = source()
    for step in range(TOTAL):
        assert content(looking.plan(step)) == UNINTERRUPTED[step]
        looking.coming_rows("small", step + 1, most=16)


@given(st.lists(st.integers(0, TOTAL - 1), min_size=1, max_size=6).map(sorted))
@settings(max_examples=25)
def test_a_step_does_not_depend_on_which_steps_were_asked_for_before(steps: list[int]) -> None:
    jumping = source()
    assert [content(jumping.plan(step)) for step in steps] == [UNINTERRUPTED[step] for step in steps]


def test_the_mixture_moves_only_between_windows() -> None:
    moving = source()
    seen = []
    for step in range(TOTAL):
        moving.plan(step)
        seen.append(moving.state.probabilities.tolist())
    for window in range(6):
        expected = list(moving.mixture.probabilities(window * 10 / TOTAL).values())
        assert seen[window * 10 : window * 10 + 10] == [expected] * 10
    assert len({tuple(probabilities) for probabilities in seen}) == 6


def test_progress_ends_at_one_in_a_run_that_goes_on() -> None:
    asked = source(total=20)
    asked.plan(50)
    assert asked.state.probabilities.tolist() == list(asked.mixture.probabilities(1.0).values())


def test_the_total_is_asked_when_a_window_begins() -> None:
    course = FixedCourse(10**9)
    late = source(course=course)
    course.total_steps = TOTAL
    assert content(late.plan(15)) == UNINTERRUPTED[15]


def test_windows_only_move_forward() -> None:
    forward = source()
    forward.plan(25)
    assert (forward.state.start, forward.window_end) == (20, 30)
    assert content(forward.plan(20)) == UNINTERRUPTED[20]
    with pytest.raises(ValueError, match="step 19 was planned before the window that starts at 20"):
        forward.plan(19)


def test_loading_forgets_the_plans_of_the_window_before() -> None:
    first, later = source(), source()
    later.plan(31)
    state = through_a_file(later.state_dict())
    first.plan(0)
    first.load_state_dict(state)
    assert content(first.plan(31)) == UNINTERRUPTED[31]


def test_a_saved_state_does_not_move_with_the_run() -> None:
    running = source()
    state = running.state_dict()
    running.plan(45)
    assert (state["start"], state["cursors"].tolist()) == (0, [0, 0, 0])


OTHER_RUNS: list[tuple[dict[str, Any], str]] = [
    ({"rows_per_step": 8}, "rows_per_step is 8, the checkpoint has 16"),
    ({"seed": 7}, "seed is 7, the checkpoint has 0"),
    ({"window_steps": 5}, "window_steps is 5, the checkpoint has 10"),
    ({"min_per_task": 1}, "min_per_task is 1, the checkpoint has 0"),
    ({"one_task_per_step": True}, "one_task_per_step is True, the checkpoint has False"),
    ({"sizes": {**SIZES, "tiny": 6}}, r"tasks is .*'tiny': 6.*, the checkpoint has .*'tiny': 5"),
    ({"sizes": dict(reversed(SIZES.items()))}, "tasks is {'tiny': 5, .*, the checkpoint has {'large': 97, "),
]


@pytest.mark.parametrize(("different", "said"), OTHER_RUNS)
def test_a_checkpoint_of_another_run_is_refused_by_what_differs(different: dict[str, Any], said: str) -> None:
    saved = through_a_file(source().state_dict())
    other = source(**different)
    before = content(other.plan(0))
    with pytest.raises(CheckpointError, match=said):
        other.load_state_dict(saved)
    assert content(other.plan(0)) == before


def test_everything_that_differs_is_said_at_once() -> None:
    with pytest.raises(CheckpointError, match=r"rows_per_step is 8.*; seed is 7"):
        source(seed=7, rows_per_step=8).load_state_dict(source().state_dict())


def test_a_resumed_run_keeps_the_probabilities_of_its_window() -> None:
    first = source()
    first.plan(12)
    resumed = source(mixture={"temperature": 1.0})
    resumed.load_state_dict(through_a_file(first.state_dict()))
    assert content(resumed.plan(13)) == UNINTERRUPTED[13]
    resumed.plan(20)
    assert np.allclose(resumed.state.probabilities, list(Mixture(SIZES, temperature=1.0).probabilities().values()))


def test_the_tasks_of_a_window_are_settled_when_it_begins() -> None:
    def of(coefficients: list[float]) -> StepSource:
        gamma = np.array([coefficients] * 10)
        roster = Roster(gamma, np.ones(gamma.shape), np.zeros(gamma.shape, dtype=bool))
        planner = Planner(SIZES, 16, seed=0, window_steps=10)
        return StepSource(Mixture(SIZES), planner, FixedCourse(TOTAL), roster=lambda start: roster)

    first, again = of([1, 1, 0]), of([1, 1, 0])
    planned = [content(first.plan(step)) for step in range(20)]
    again.plan(14)
    # A run that was resumed with other schedules, or another length, follows them from the next window on.
    resumed = of([1, 1, 1])
    resumed.load_state_dict(through_a_file(again.state_dict()))
    assert [content(resumed.plan(step)) for step in range(14, 20)] == planned[14:]
    assert max(resumed.plan(step).counts[2] for step in range(20, 30)) > 0
    assert max(first.plan(step).counts[2] for step in range(20, 30)) == 0
    np.testing.assert_array_equal(resumed.state.cursors, first.state.cursors)
