"""A whole run of schedules is looked at before it begins, at no more steps than it has phases."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_mtl.schedules import SCHEDULES, Effect, Run, Schedule, Schedules, build_schedule
from hf_mtl.schedules.base import STRETCHES
from tests.courses import FixedCourse
from tests.training.trainers import make

TASKS = ["main", "b", "c"]
RUN = Run(tuple(TASKS), 300, 40)
SPECS: list[dict[str, Any]] = [
    {"type": "mt2st_switch", "main": "main", "at": {"epoch": 2.5}, "freeze": 1},
    {"type": "mt2st_diminish", "main": "main", "eta": 7.0, "nu": 1.5},
    {"type": "mt2st_diminish", "main": "main", "realise": "sampling"},
    {"type": "mt2st_diminish", "main": "main", "floor": 0.0},
    {"type": "mt2st_adaptive", "main": "main"},
    {"type": "mt2st_feedback", "main": "main"},
    {"type": "task_early_stopping"},
    {"type": "alternating", "period": 7},
    {"type": "enter", "task": "b", "at": 0.3},
    {"type": "leave", "task": "c", "at": {"step": 11}},
    {"type": "warmup", "task": "b", "at": 0.2},
]


def kind(effect: Effect) -> Any:
    """What the checks before a run look at."""
    takes_part = (effect.coefficients > 0) & (effect.participation > 0)
    return takes_part.tolist(), (effect.coefficients > 0).tolist(), effect.frozen


def together(*specs: dict[str, Any], run: Run = RUN) -> Schedules:
    return Schedules(
        [build_schedule(spec, TASKS) for spec in specs],
        FixedCourse(run.total_steps, run.steps_per_epoch, tasks=run.tasks),
    )


def test_every_schedule_is_among_these() -> None:
    assert {spec["type"] for spec in SPECS} == {*SCHEDULES.names()}


@pytest.mark.parametrize("others", [[], SPECS[7:10]], ids=["alone", "with others"])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec["type"])
def test_the_steps_looked_at_show_what_all_steps_would_at_their_first(
    spec: dict[str, Any], others: list[dict[str, Any]]
) -> None:
    schedules = together(spec, *others)
    first: dict[str, int] = {}
    for step in reversed(range(RUN.total_steps)):
        first[str(kind(schedules.effect(step)))] = step
    steps = schedules.steps_to_look_at()
    assert set(first.values()) <= set(steps)
    assert steps == sorted(set(steps))
    assert len(steps) <= 16


def test_a_schedule_without_phases_is_looked_at_at_every_step_of_a_short_run() -> None:
    class Odd(Schedule):
        def effect(self, step: int, run: Run) -> Effect:
            return Effect.none(len(run.tasks)).on_tasks(0, float(step != 123), "drop")

    for total in (124, STRETCHES, 10**8):
        steps = Schedules([Odd()], FixedCourse(total, 40, tasks=TASKS)).steps_to_look_at()
        assert len(steps) == min(total, STRETCHES)
        assert (123 in steps) == (total <= STRETCHES)


@pytest.mark.parametrize("total", [0, 1, 10**9])
def test_runs_of_any_length_are_looked_at(total: int) -> None:
    run = Run(tuple(TASKS), total, 40)
    steps = together(*SPECS, run=run).steps_to_look_at()
    assert len(steps) < 40
    assert all(0 <= step < total for step in steps)


def test_what_is_worked_out_before_a_long_run_does_not_grow_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    ordinary = Schedules.effect
    monkeypatch.setattr(Schedules, "effect", lambda self, step: (asked.append(step), ordinary(self, step))[1])
    switch, fading, *_, enter, leave, warmup = SPECS
    specs = [{**spec, "main": "topic"} for spec in (switch, fading)]
    specs += [{**spec, "task": "mood"} for spec in (enter, leave, warmup)]
    every = {"type": "alternating", "period": 1}
    make(tmp_path, max_steps=10**6, schedules=[*specs, every], mixture={"anneal": {}})
    assert 0 < len(asked) < 100


def test_effects_on_several_tasks_are_those_on_one_after_the_other() -> None:
    places, factors = np.array([2, 0]), np.array([0.1, 0.7])
    both = Effect.none(3).on_tasks(places, factors, "redistribute", 0.3)
    apart = Effect.none(3).on_tasks(2, 0.1, "redistribute", 0.3).on_tasks(0, 0.7, "redistribute", 0.3)
    for name in ("coefficients", "participation", "redistributed"):
        np.testing.assert_array_equal(getattr(both, name), getattr(apart, name))
