"""Records of the training log: what they say beside the Trainer's own loss and learning rate."""

from transformers import TrainerState

from hf_mtl.training.step.task_gradients import TaskGradients
from hf_mtl.training.watch.budget import Budget
from hf_mtl.training.watch.conflicts import ConflictLog
from hf_mtl.training.watch.signals import TaskSignals


class Records:
    """Puts together what a record of the log says beside the Trainer's own.

    Args:
        signals: Has the tasks' losses, weights, shares and learning signals.
        conflicts: Has what was seen of task gradients.
        budget: Has what was spent.
        gradients: Has the count of steps that were skipped; None: no task gradients are formed.
    """

    def __init__(self, signals: TaskSignals, conflicts: ConflictLog, budget: Budget, gradients: TaskGradients | None):
        self._signals = signals
        self._conflicts = conflicts
        self._budget = budget
        self._gradients = gradients

    def take(self, state: TrainerState) -> dict[str, float]:
        """Give what was collected since the last record, which begins anew; all processes call this together.

        Args:
            state: The state of the Trainer.
        """
        spent = self._budget.record(state)
        found = {**self._signals.flush(), **self._conflicts.flush(), **spent}
        if self._gradients is not None and self._gradients.skipped_steps:
            found["skipped_steps"] = self._gradients.skipped_steps
        return found

    def forget(self) -> None:
        """Drop what a training before has collected since its last record."""
        self._signals.flush()
        self._conflicts.flush()
