"""MT2ST feedback: auxiliary tasks leave when the primary task stops improving."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hf_mtl.schedules.base import Effect, FreedRows, Run, Schedule, register
from hf_mtl.signatures import OnlyWith

TRAINING_BETA = 0.98


@register("mt2st_feedback")
class MT2STFeedback(Schedule):
    """Watches the main task's loss; on a plateau the other tasks are switched off, or count for less.

    A check improves if the loss is below ``best - min_delta |best|``. After ``patience`` checks in a row without
    improvement, and not before the ``warmup_checks``-th, it acts, and counts anew.

    Source: an hf_mtl definition; "MT2ST" gives a sentence ("feedback-driven").

    Args:
        main: The primary task.
        action: ``switch``: the others are switched off; ``decay``: their coefficients are multiplied by ``factor``.
        signal: ``validation``: every evaluation is a check. ``training``: every window of steps is one, of the
            bias-corrected moving average of the training loss (decay 0.98).
        patience: Checks without improvement before it acts.
        min_delta: Smallest relative change that counts as improvement.
        factor: Factor of the coefficients, with ``decay``.
        warmup_checks: Checks before which it does not act.
        floor: With ``decay``: below this coefficient the others take no part any more.
        freed_rows: What happens to the other tasks' rows when they take no part: ``drop``: the step shrinks;
            ``redistribute``: the main task gets them.
    """

    only_with: ClassVar[OnlyWith] = {"factor": ("action", ("decay",)), "floor": ("action", ("decay",))}

    def __init__(
        self,
        *,
        main: str,
        action: Literal["switch", "decay"] = "switch",
        signal: Literal["validation", "training"] = "validation",
        patience: Annotated[int, Field(ge=1)] = 2,
        min_delta: Annotated[float, Field(ge=0)] = 0.01,
        factor: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        warmup_checks: Annotated[int, Field(ge=0)] = 1,
        floor: Annotated[float, Field(ge=0, lt=1)] = 0.01,
        freed_rows: FreedRows = "drop",
    ):
        self.main = main
        self.action = action
        self.signal = signal
        self.patience = patience
        self.min_delta = min_delta
        self.factor = factor
        self.warmup_checks = warmup_checks
        self.floor = floor
        self.freed_rows: FreedRows = freed_rows
        self.best = math.inf
        self.wait = 0
        self.checks = 0
        self.multiplier = 1.0
        self._average = 0.0
        self._observed = 0  # training losses in the average
        self._in_window = 1.0

    def tasks_named(self) -> Sequence[str]:
        """Return the main task."""
        return [self.main]

    def tasks_watched(self) -> Sequence[str]:
        """Return the main task, unless its training loss is enough."""
        return [self.main] if self.signal == "validation" else []

    @property
    def checks_needed(self) -> int:
        """Checks until it can act: the first one sets the best loss."""
        return max(self.patience, self.warmup_checks) + 1

    def summary(self, run: Run) -> str:
        """Tell what it waits for."""
        does = "leave" if self.action == "switch" else f"count {self.factor:g} times as much"
        return f"all tasks but {self.main} {does} when its {self.signal} loss stops falling"

    def observe_losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Follow the main task's training loss."""
        if self.signal == "training" and self.main in losses:
            self._average = TRAINING_BETA * self._average + (1 - TRAINING_BETA) * losses[self.main]
            self._observed += 1

    def observe_evaluation(self, step: int, losses: Mapping[str, float]) -> None:
        """Make one check of the validation loss."""
        if self.signal == "validation" and self.main in losses:
            self.check(losses[self.main])

    def check(self, loss: float) -> bool:
        """Compare a loss with the best, and return whether it acted."""
        index, self.checks = self.checks, self.checks + 1
        improved = self.best == math.inf or loss < self.best - self.min_delta * abs(self.best)
        if improved:
            self.best, self.wait = loss, 0
            return False
        self.wait += 1
        if index < self.warmup_checks or self.wait < self.patience or self.multiplier == 0:
            return False
        self.wait = 0
        self.multiplier = 0.0 if self.action == "switch" else self.multiplier * self.factor
        if self.multiplier < self.floor:
            self.multiplier = 0.0
        return True

    def begin_window(self, step: int, run: Run) -> None:
        """Let what the checks decided take effect."""
        if self._observed:  # only with `training`
            # The average began at 0 and is too small until many losses came: the correction of Adam.
            self.check(self._average / (1 - TRAINING_BETA**self._observed))
        self._in_window = self.multiplier

    def phase(self, steps: NDArray[np.int64], run: Run) -> NDArray[np.int64]:
        """Return 0: there is one phase, since nobody knows yet when the loss stops falling."""
        return np.zeros_like(steps)

    def effect(self, step: int, run: Run) -> Effect:
        """Multiply the coefficient of every task but the main one."""
        return Effect.none(len(run.tasks)).on_tasks(run.others(self.main), self._in_window, self.freed_rows)

    def state_dict(self) -> dict[str, Any]:
        """Return the best loss (null before the first check), and what follows from it."""
        best = None if math.isinf(self.best) else self.best
        return {
            "best": best,
            "wait": self.wait,
            "checks": self.checks,
            "multiplier": self.multiplier,
            "average": self._average,
            "observed": self._observed,
            "in_window": self._in_window,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        self.best = math.inf if state["best"] is None else float(state["best"])
        self.wait, self.checks = int(state["wait"]), int(state["checks"])
        self._average, self._observed = float(state["average"]), int(state["observed"])
        self.multiplier, self._in_window = float(state["multiplier"]), float(state["in_window"])
