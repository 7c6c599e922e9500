"""Tasks leave one by one, each when it stops getting better."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hf_mtl.schedules.base import Effect, FreedRows, Run, Schedule, Stop, register


@register("task_early_stopping")
class TaskEarlyStopping(Schedule):
    """A task that no longer gets better leaves at the next window; its head goes back to its best evaluation.

    Every evaluation of a task that was trained since the one before is a check of its first metric. After
    ``patience`` checks in a row that are not better than the best by more than ``threshold``, the task has stopped.
    When every task that still takes part, or is yet to come, has stopped, training ends. Where none but stopped tasks
    would be left in a step, since others come later, these go on.

    Args:
        patience: Checks in a row without improvement after which a task stops.
        threshold: How much better than the best counts as better, in units of the metric.
        tasks: The tasks that may stop; None: all of them.
        freed_rows: What happens to the rows of a task that has stopped: ``redistribute``: the others get them;
            ``drop``: the step shrinks.
    """

    stops_tasks: ClassVar[bool] = True

    def __init__(
        self,
        *,
        patience: Annotated[int, Field(ge=1)] = 3,
        threshold: Annotated[float, Field(ge=0)] = 0.0,
        tasks: Annotated[list[str], Field(min_length=1)] | None = None,
        freed_rows: FreedRows = "redistribute",
    ):
        self.patience = patience
        self.threshold = threshold
        self.tasks = tasks
        self.freed_rows: FreedRows = freed_rows
        self.best: dict[str, tuple[float, int]] = {}  # the score, and the step that was evaluated
        self.wait: dict[str, int] = {}
        self.stopped: dict[str, int] = {}  # the step after which its last check was made
        self._left: dict[str, int] = {}  # the step from which on it takes no part
        self._trained: set[str] = set()  # since the last check

    def tasks_named(self) -> Sequence[str]:
        """Return the tasks that may stop, where they are named."""
        return self.tasks or ()

    def tasks_watched(self) -> Sequence[str]:
        """Return the tasks that may stop, where they are named."""
        return self.tasks or ()

    @property
    def follows_evaluations(self) -> bool:
        """Always: without evaluations nobody stops."""
        return True

    @property
    def checks_needed(self) -> int:
        """Checks until a task can stop: the first one sets its best score."""
        return self.patience + 1

    def summary(self, run: Run) -> str:
        """Tell what it waits for."""
        who = "a task" if self.tasks is None else " or ".join(self.tasks)
        times = "evaluation" if self.patience == 1 else "evaluations"
        return f"{who} leaves when its first metric has not got better in {self.patience} {times}"

    def stops(self) -> dict[str, Stop]:
        """Return the tasks that have stopped."""
        best = {task: step for task, (_, step) in self.best.items()}
        return {task: Stop(step, best.get(task)) for task, step in self.stopped.items()}

    def observe_losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Note which tasks are trained."""
        self._trained |= losses.keys()

    def observe_scores(self, step: int, scores: Mapping[str, float]) -> Sequence[str]:
        """Make a check of each task, and return those that are better than ever."""
        better = []
        for task, score in scores.items():
            if task in self.stopped or task not in self._trained or task not in (self.tasks or scores):
                continue
            best, _ = self.best.get(task, (math.nan, step))
            # A score that is not defined is no better, as for early stopping of a whole run.
            if score > best + self.threshold or (math.isnan(best) and not math.isnan(score)):
                self.best[task], self.wait[task] = (score, step), 0
                better.append(task)
                continue
            self.wait[task] = self.wait.get(task, 0) + 1
            if self.wait[task] >= self.patience:
                self.stopped[task] = step
        self._trained -= scores.keys()
        return better

    def begin_window(self, step: int, run: Run) -> None:
        """Let the tasks that have stopped leave."""
        self._left |= {task: step for task in self.stopped if task not in self._left}

    def phase(self, steps: NDArray[np.int64], run: Run) -> NDArray[np.int64]:
        """Return 0: there is one phase, since nobody knows yet which task stops when."""
        return np.zeros_like(steps)

    def effect(self, step: int, run: Run) -> Effect:
        """Take out the tasks that have left."""
        places = np.array([run.index(task) for task in self._left], dtype=np.int64)
        effect = Effect.none(len(run.tasks))
        return effect.on_tasks(places, 0.0, self.freed_rows) if len(places) else effect

    def state_dict(self) -> dict[str, Any]:
        """Return the best scores, and what follows from them."""
        return {
            "best": {task: list(found) for task, found in self.best.items()},
            "wait": dict(self.wait),
            "stopped": dict(self.stopped),
            "left": dict(self._left),
            "trained": sorted(self._trained),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        self.best = {task: (float(score), int(step)) for task, (score, step) in state["best"].items()}
        self.wait = {task: int(count) for task, count in state["wait"].items()}
        self.stopped = {task: int(step) for task, step in state["stopped"].items()}
        self._left = {task: int(step) for task, step in state["left"].items()}
        self._trained = set(state["trained"])
