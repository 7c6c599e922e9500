"""MT2ST Diminish: auxiliary tasks fade out."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hf_mtl.schedules.base import Effect, FreedRows, Run, Schedule, register

Positive = Annotated[float, Field(gt=0)]


@register("mt2st_diminish")
class MT2STDiminish(Schedule):
    """Every task but the main one has the coefficient ``gamma0 exp(-eta s^nu)`` at progress s, and leaves in the end.

    Source: "MT2ST: Adaptive Multi-Task to Single-Task Learning", Eq. 8 and 20. Departs from the paper by measuring
    time as progress s in [0, 1], so that eta means the same in runs of any length.

    Args:
        main: The primary task.
        gamma0: Coefficient at the start.
        eta: Rate.
        nu: Shape; above 1 it falls slowly at first.
        floor: A task whose ``gamma / gamma0`` is below this takes no part any more.
        realise: ``loss``: gamma multiplies the loss, as printed, and saves nothing until the floor. ``sampling``: a
            task takes part in a step with probability ``gamma / gamma0`` and coefficient ``gamma0``, which saves in
            expectation what Eq. 20 says.
        freed_rows: What happens to the rows of a task that takes no part: ``drop``: the step shrinks;
            ``redistribute``: the others get them.
    """

    def __init__(
        self,
        *,
        main: str,
        gamma0: Positive = 1.0,
        eta: Positive = 5.0,
        nu: Annotated[float, Field(ge=1)] = 1.0,
        floor: Annotated[float, Field(ge=0, lt=1)] = 0.01,
        realise: Literal["loss", "sampling"] = "loss",
        freed_rows: FreedRows = "drop",
    ):
        self.main = main
        self.gamma0 = gamma0
        self.eta = eta
        self.nu = nu
        self.floor = floor
        self.realise = realise
        self.freed_rows: FreedRows = freed_rows

    def tasks_named(self) -> Sequence[str]:
        """Return the main task."""
        return [self.main]

    def remaining(self, progress: float) -> float:
        """Return gamma / gamma0 at a point of the run; 0 below the floor."""
        share = math.exp(-self.eta * progress**self.nu)
        return share if share >= self.floor else 0.0

    def summary(self, run: Run) -> str:
        """Tell what fades, and until when."""
        what, falls = ("coefficients", "fall") if self.realise == "loss" else ("participation", "falls")
        text = f"the {what} of all tasks but {self.main} {falls}"
        if self.floor == 0 or (last := self.remaining(1.0)) > 0:
            return text if self.floor == 0 else f"{text} to {last:.1%} of their first value"
        step = math.ceil(
            run.total_steps * (-math.log(self.floor) / self.eta) ** (1 / self.nu)
        )  # e^(-eta s^nu) = floor
        return f"{text} until step {step:,}, where they leave"

    def phase(self, steps: NDArray[np.int64], run: Run) -> NDArray[np.int64]:
        """Return 0 until the others leave, 1 from there on."""
        # The share only falls, so that halving finds the first step without any, to the bit that `effect` goes by.
        total = max(run.total_steps, 1)
        leaves = bisect_left(range(total), True, key=lambda step: self.remaining(step / total) == 0)
        return (steps >= leaves).astype(np.int64)

    def effect(self, step: int, run: Run) -> Effect:
        """Fade the auxiliary tasks."""
        share = self.remaining(step / max(run.total_steps, 1))
        effect, others = Effect.none(len(run.tasks)), run.others(self.main)
        if self.realise == "sampling":
            return effect.on_tasks(others, self.gamma0 * (share > 0), self.freed_rows, participation=share)
        return effect.on_tasks(others, self.gamma0 * share, self.freed_rows)
