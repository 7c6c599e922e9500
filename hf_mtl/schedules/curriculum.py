"""Tasks that come, go, or come slowly."""

import numpy as np
from numpy.typing import NDArray

from hf_mtl.schedules.base import Effect, FreedRows, Run, Schedule, register
from hf_mtl.schedules.position import At, step_of


class _OneTask(Schedule):
    """A schedule of one task's coefficient.

    Args:
        task: The task.
        at: A fraction of the run, ``{step: n}`` or ``{epoch: n}``.
        freed_rows: What happens to the rows of the task while it is absent: ``redistribute``: the others get them;
            ``drop``: the step shrinks.
    """

    def __init__(self, *, task: str, at: At, freed_rows: FreedRows = "redistribute"):
        self.task = task
        self.at = at
        self.freed_rows: FreedRows = freed_rows

    def tasks_named(self) -> list[str]:
        """Return the one task."""
        return [self.task]

    def phase(self, steps: NDArray[np.int64], run: Run) -> NDArray[np.int64]:
        """Return 0 before the point of the run, 1 from there on."""
        return (steps >= step_of(self.at, run)).astype(np.int64)

    def _times(self, coefficient: float, run: Run) -> Effect:
        return Effect.none(len(run.tasks)).on_tasks(run.index(self.task), coefficient, self.freed_rows)


@register("enter")
class Enter(_OneTask):
    """A task takes part from a point of the run on."""

    def effect(self, step: int, run: Run) -> Effect:
        """Return 0 before, 1 from there on."""
        return self._times(float(step >= step_of(self.at, run)), run)

    def summary(self, run: Run) -> str:
        """Tell the step."""
        return f"{self.task} takes part from step {step_of(self.at, run):,} on"


@register("leave")
class Leave(_OneTask):
    """A task takes part until a point of the run."""

    def effect(self, step: int, run: Run) -> Effect:
        """Return 1 before, 0 from there on."""
        return self._times(float(step < step_of(self.at, run)), run)

    def without_effect(self, run: Run) -> str:
        """Tell if it is to leave after the end."""
        end = step_of(self.at, run)
        return f"{self.task} never leaves, that is at step {end:,}" if end >= run.total_steps else ""

    def summary(self, run: Run) -> str:
        """Tell the step."""
        return f"{self.task} leaves at step {step_of(self.at, run):,}"


@register("warmup")
class Warmup(_OneTask):
    """A task's coefficient rises linearly from 0, exclusive, to 1 at a point of the run."""

    def effect(self, step: int, run: Run) -> Effect:
        """Return (step + 1) / end, at most 1: no step computes a task that counts nothing."""
        return self._times(min((step + 1) / max(step_of(self.at, run), 1), 1.0), run)

    def without_effect(self, run: Run) -> str:
        """Tell if the run ends on the way."""
        end = step_of(self.at, run)
        reached = f"the coefficient of {self.task} rises to {run.total_steps / max(end, 1):.2g} only"
        return f"{reached}, to 1 at step {end:,}" if end > run.total_steps else ""

    def summary(self, run: Run) -> str:
        """Tell when the rise ends."""
        return f"the coefficient of {self.task} rises to 1 until step {step_of(self.at, run):,}"
