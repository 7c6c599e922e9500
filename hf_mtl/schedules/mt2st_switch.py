"""MT2ST Switch: from all tasks to one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from hf_mtl.schedules.base import Effect, FreedRows, Run, Schedule
from hf_mtl.schedules.position import At, step_of


class MT2STSwitch(Schedule, name="mt2st_switch"):
    """All tasks until a point of the run, the main one alone after it.

    The optimizer keeps its state, and the learning rate its schedule.

    Source: "MT2ST: Adaptive Multi-Task to Single-Task Learning", section on the switch strategy; its code switches
    after 15 of 25 epochs.

    Args:
        main: The primary task.
        at: A fraction of the run, ``{step: n}`` or ``{epoch: n}``.
        freeze: What is not trained after the switch: ``embeddings``, or so many layers from the bottom (the
            embeddings with them). None: nothing.
        lr_scale: Factor of every learning rate after the switch.
        freed_rows: What happens to the other tasks' rows: ``drop``: the step shrinks; ``redistribute``: the main
            task gets them.
    """

    def __init__(
        self,
        *,
        main: str,
        at: At = 0.6,
        freeze: Literal["embeddings"] | Annotated[int, Field(ge=1)] | None = None,
        lr_scale: Annotated[float, Field(gt=0)] = 1.0,
        freed_rows: FreedRows = "drop",
    ):
        self.main = main
        self.at = at
        self.freeze = freeze
        self.lr_scale = lr_scale
        self.freed_rows: FreedRows = freed_rows

    def tasks_named(self) -> Sequence[str]:
        """The main task."""
        return [self.main]

    def effect(self, step: int, run: Run) -> Effect:
        """Nothing before the switch; the main task alone after it."""
        effect = Effect.none(len(run.tasks))
        if step < step_of(self.at, run):
            return effect
        for index, task in enumerate(run.tasks):
            if task != self.main:
                effect = effect.on_task(index, 0.0, self.freed_rows)
        frozen = frozenset() if self.freeze is None else frozenset([self.freeze])
        return replace(effect, frozen=frozen, learning_rate_scale=self.lr_scale)
