"""Several schedules as one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.course import Course
from hf_mtl.errors import CheckpointError
from hf_mtl.schedules.base import Effect, ParameterGroup, Run, Schedule

_STEPS_NUMBERED = 1_000_000  # a tenth of a second


def run_of(course: Course) -> Run:
    """Return the facts that schedules may use of a run, as it is now."""
    return Run(tuple(course.sizes), course.total_steps, course.steps_per_epoch)


class Schedules:
    """The schedules of a run: their effects together.

    Args:
        schedules: The schedules, in the recipe's order.
        course: Knows the lengths of the run, as they are now; or a run whose lengths stay.
    """

    def __init__(self, schedules: Sequence[Schedule], course: Course | Run):
        self.schedules = list(schedules)
        self._course = course

    def __bool__(self) -> bool:
        return bool(self.schedules)

    @property
    def run(self) -> Run:
        """The facts that they may use of the run."""
        return self._course if isinstance(self._course, Run) else run_of(self._course)

    @property
    def groups(self) -> list[ParameterGroup]:
        """The parameter groups that any of them freezes in some steps."""
        return list(dict.fromkeys(group for schedule in self.schedules for group in schedule.groups()))

    def effect(self, step: int) -> Effect:
        """Join all effects on an optimizer step."""
        run = self.run
        effect = Effect.none(len(run.tasks))
        for schedule in self.schedules:
            effect = effect & schedule.effect(step, run)
        return effect

    def steps_to_look_at(self) -> list[int]:
        """Return the first step of every combination of phases: what no step of these shows, no step of the run does.

        Of a very long run, the first of the steps that are looked at, which are spread evenly.
        """
        run = self.run
        numbered = min(run.total_steps, _STEPS_NUMBERED)
        steps = np.arange(numbered, dtype=np.int64)
        if run.total_steps > numbered:
            steps = steps * (run.total_steps - 1) // (numbered - 1)
        combined = np.zeros_like(steps)
        for schedule in self.schedules:
            phases = _renumbered(schedule.phase(steps, run))
            # Renumbered after each schedule: numbers stay below the steps squared, which int64 holds.
            combined = _renumbered(combined * (phases.max(initial=0) + 1) + phases)
        _, first = np.unique(combined, return_index=True)
        found: list[int] = np.sort(steps[first]).tolist()
        return found

    def begin_window(self, step: int) -> None:
        """Let what was observed take effect."""
        run = self.run
        for schedule in self.schedules:
            schedule.begin_window(step, run)

    def observe_losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Tell all of them the training losses of the tasks that a step had."""
        for schedule in self.schedules:
            schedule.observe_losses(step, losses)

    def observe_evaluation(self, step: int, losses: Mapping[str, float]) -> None:
        """Tell all of them the validation losses of the tasks."""
        for schedule in self.schedules:
            schedule.observe_evaluation(step, losses)

    def probes(self, step: int) -> list[tuple[Schedule, list[str]]]:
        """Return the schedules that want something measured before a step, and of which tasks."""
        run = self.run
        due = [(schedule, list(schedule.probe_due(step, run))) for schedule in self.schedules]
        return [(schedule, tasks) for schedule, tasks in due if tasks]

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each, in order."""
        return {"schedules": [[schedule.name, schedule.state_dict()] for schedule in self.schedules]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off.

        Raises:
            CheckpointError: If the checkpoint is of a run with other schedules.
        """
        saved, here = [entry[0] for entry in state["schedules"]], [schedule.name for schedule in self.schedules]
        if saved != here:
            raise CheckpointError(f"the checkpoint belongs to another run: schedules are {here}, it has {saved}")
        for schedule, (_, values) in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(values)


def _renumbered(phases: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the same phases, numbered from 0 without gaps, so that numbers of several can be combined."""
    # Few phases last long: sorting their turns is much less than sorting the steps.
    turns = np.flatnonzero(np.diff(phases, prepend=phases[:1] - 1))
    _, numbers = np.unique(phases[turns], return_inverse=True)
    return np.repeat(numbers, np.diff(turns, append=len(phases))).astype(np.int64)
