"""Several schedules as one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.course import Course
from hf_mtl.errors import CheckpointError
from hf_mtl.schedules.base import Effect, ParameterGroup, Run, Schedule, Stop

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
        self.ended = False  # whether they have ended training, since everyone has stopped

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
        effect = self._without_stops(step, run)
        for schedule in self._stoppers:
            rest = effect & schedule.effect(step, run)
            # While others are still to come, those that have stopped go on: a step needs a task.
            effect = rest if _taking_part(rest).any() else effect
        return effect

    def _without_stops(self, step: int, run: Run) -> Effect:
        effect = Effect.none(len(run.tasks))
        for schedule in self.schedules:
            if not schedule.stops_tasks:
                effect = effect & schedule.effect(step, run)
        return effect

    @property
    def _stoppers(self) -> list[Schedule]:
        return [schedule for schedule in self.schedules if schedule.stops_tasks]

    @property
    def stopped(self) -> dict[str, Stop]:
        """The tasks that have stopped for good."""
        return {task: stop for schedule in self._stoppers for task, stop in schedule.stops().items()}

    def gone(self, step: int) -> list[str]:
        """Return the tasks that have stopped for good and take no part in a step."""
        stopped = list(self.stopped)
        if not stopped:
            return []
        run, takes_part = self.run, _taking_part(self.effect(step))
        return [task for task in stopped if not takes_part[run.index(task)]]

    def everyone_has_stopped(self, step: int) -> bool:
        """Tell whether no task that takes part in a step, or comes later, is to be trained any more.

        Args:
            step: The step, from 0.
        """
        stopped, run = self.stopped, self.run
        if not stopped:
            return False
        coming = [step, *(later for later in self.steps_to_look_at() if later > step)]
        takes_part = np.any([_taking_part(self._without_stops(one, run)) for one in coming], axis=0)
        return all(task in stopped for task, takes in zip(run.tasks, takes_part, strict=True) if takes)

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

    def observe_scores(self, step: int, scores: Mapping[str, float]) -> list[str]:
        """Tell all of them the tasks' first metrics on validation; return the tasks whose heads are to be kept."""
        return [task for schedule in self.schedules for task in schedule.observe_scores(step, scores)]

    def probes(self, step: int) -> list[tuple[Schedule, list[str]]]:
        """Return the schedules that want something measured before a step, and of which tasks."""
        run = self.run
        due = [(schedule, list(schedule.probe_due(step, run))) for schedule in self.schedules]
        return [(schedule, tasks) for schedule, tasks in due if tasks]

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each, in order."""
        each = [[schedule.name, schedule.state_dict()] for schedule in self.schedules]
        return {"schedules": each, "ended": self.ended}

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
        self.ended = bool(state["ended"])


def _taking_part(effect: Effect) -> NDArray[np.bool_]:
    """Tell which tasks take part, or may, [T]."""
    found: NDArray[np.bool_] = (effect.coefficients > 0) & (effect.participation > 0)
    return found


def _renumbered(phases: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the same phases, numbered from 0 without gaps, so that numbers of several can be combined."""
    # Few phases last long: sorting their turns is much less than sorting the steps.
    turns = np.flatnonzero(np.diff(phases, prepend=phases[:1] - 1))
    _, numbers = np.unique(phases[turns], return_inverse=True)
    return np.repeat(numbers, np.diff(turns, append=len(phases))).astype(np.int64)
