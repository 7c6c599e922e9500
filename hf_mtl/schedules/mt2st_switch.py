"""MT2ST Switch: from all tasks to one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hf_mtl.schedules.base import Effect, FreedRows, ParameterGroup, Run, Schedule, register
from hf_mtl.schedules.position import At, step_of


@register("mt2st_switch")
class MT2STSwitch(Schedule):
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
        """Return the main task."""
        return [self.main]

    def groups(self) -> Sequence[ParameterGroup]:
        """Return the group that it freezes after the switch, if any."""
        return () if self.freeze is None else (self.freeze,)

    def summary(self, run: Run) -> str:
        """Tell when, and what else changes there."""
        text = f"{self.main} alone from step {step_of(self.at, run):,} on"
        if self.freeze is not None:
            frozen = f"{self.freeze} lowest layers" if isinstance(self.freeze, int) else self.freeze
            text += f", {frozen} frozen"
        return text + (f", learning rates x {self.lr_scale:g}" if self.lr_scale != 1 else "")

    def without_effect(self, run: Run) -> str:
        """Tell if the run ends before the switch."""
        at = step_of(self.at, run)
        return f"never switches, that is at step {at:,}" if at >= run.total_steps else ""

    def phase(self, steps: NDArray[np.int64], run: Run) -> NDArray[np.int64]:
        """Return 0 before the switch, 1 after it."""
        return (steps >= step_of(self.at, run)).astype(np.int64)

    def effect(self, step: int, run: Run) -> Effect:
        """Change nothing before the switch; train the main task alone after it."""
        effect = Effect.none(len(run.tasks))
        if step < step_of(self.at, run):
            return effect
        effect = effect.on_tasks(run.others(self.main), 0.0, self.freed_rows)
        return replace(effect, frozen=frozenset(self.groups()), learning_rate_scale=self.lr_scale)
