from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from hf_mtl.errors import CheckpointError
from hf_mtl.schedules import Effect, Run, Schedule, Schedules, build_schedule
from tests.courses import FixedCourse

TASKS = ["main", "b", "c"]


RUN = Run(tuple(TASKS), total_steps=100, steps_per_epoch=20)


def together(*specs: dict[str, Any]) -> Schedules:
    return Schedules([build_schedule(spec, TASKS) for spec in specs], FixedCourse(100, 20, tasks=TASKS))


def test_schedules_compose() -> None:
    both = together(
        {"type": "alternating", "period": 10},
        {"type": "mt2st_switch", "main": "main", "at": 0.5, "freeze": "embeddings", "lr_scale": 0.5},
        {"type": "warmup", "task": "b", "at": {"step": 100}},
    )
    early, late = both.effect(9), both.effect(70)
    assert early.frozen == {"encoder"}
    assert early.coefficients.tolist() == pytest.approx([1, 0.1, 1])
    assert late.frozen == {"heads", "embeddings"}
    assert late.coefficients.tolist() == [1, 0, 0]
    assert late.learning_rate_scale == 0.5


STATEFUL: list[dict[str, Any]] = [
    {"type": "mt2st_feedback", "main": "main", "patience": 1, "warmup_checks": 0, "action": "decay"},
    {"type": "mt2st_adaptive", "main": "main"},
    {"type": "mt2st_adaptive", "main": "main", "signal": "variance"},
    {"type": "mt2st_feedback", "main": "main", "patience": 1, "signal": "training"},
]


@pytest.mark.parametrize("spec", STATEFUL)
def test_saved_and_restored_between_any_two_steps_nothing_changes(spec: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    steps = [(random.uniform(0.5, 2, 3), random.uniform(1, 3, 2)) for _ in range(30)]

    def play(interrupt: int | None) -> list[list[float]]:
        schedules, seen = together(spec), []
        for step, (losses, probes) in enumerate(steps):
            if step == interrupt:
                restored = together(spec)
                restored.load_state_dict(schedules.state_dict())
                schedules = restored
            if step % 5 == 0:
                schedules.begin_window(step)
            seen.append(schedules.effect(step).coefficients.tolist())
            named = dict(zip(TASKS, losses.tolist(), strict=True))
            schedules.observe_losses(step, named)
            schedules.observe_evaluation(step, named)
            for schedule, tasks in schedules.probes(step):
                schedule.observe_probe(step, dict(zip(tasks, probes.tolist(), strict=True)))
        return seen

    whole = play(None)
    assert len({tuple(row) for row in whole}) > 1
    for interrupt in (1, 7, 20):
        assert play(interrupt) == whole


def test_the_state_of_other_schedules_is_refused() -> None:
    with pytest.raises(CheckpointError, match="schedules are"):
        together(STATEFUL[0]).load_state_dict(together(STATEFUL[1]).state_dict())


class Fading(Schedule):
    def effect(self, step: int, run: Run) -> Effect:
        return Effect.none(len(run.tasks))


class Following(Fading):
    def observe_losses(self, step: int, losses: Mapping[str, float]) -> None: ...


def test_a_schedule_that_observes_nothing_does_not_say_that_it_follows_training() -> None:
    assert Fading().summary(RUN) == "follows the step"
    assert Following().summary(RUN) == "follows what training shows"
