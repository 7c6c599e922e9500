"""The plan of a run asks mixture and schedules when a window begins."""

from types import SimpleNamespace
from typing import Any

from hf_mtl.data.mixture import Mixture
from hf_mtl.schedules import Schedules, build_schedule
from hf_mtl.training.schedules.planned_steps import plan_steps
from tests.courses import FixedCourse

SIZES = {"a": 30, "b": 10}


def test_a_window_begins_for_the_schedules_before_it_is_planned() -> None:
    course = FixedCourse(8, tasks=list(SIZES))
    course.rows_per_step = 8
    switch = build_schedule({"type": "mt2st_switch", "main": "a", "at": 0.5}, list(SIZES))
    schedules, begun = Schedules([switch], course), []
    begin = schedules.begin_window
    schedules.begin_window = lambda step: begun.append(step) or begin(step)  # type: ignore[func-returns-value, method-assign]
    args: Any = SimpleNamespace(seed=3, data_seed=None, window_steps=2)
    steps = plan_steps(Mixture(SIZES), schedules, course, args)
    counts = [steps.plan(step).counts.tolist() for step in range(8)]
    assert begun == [0, 2, 4, 6]
    assert all(b > 0 for _, b in counts[:4])
    assert all(b == 0 for _, b in counts[4:]), "the main task alone"
    args.data_seed = 3
    again = plan_steps(Mixture(SIZES), schedules, course, args)
    assert [again.plan(step).counts.tolist() for step in range(8)] == counts
