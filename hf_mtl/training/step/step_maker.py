"""The steps of a run, each begun as what it needs to be."""

from collections.abc import Sequence

from hf_mtl.batch import Batch
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.processes import Processes
from hf_mtl.training.step.loss_pass import LossPass
from hf_mtl.training.step.loss_scaler import LossScaler
from hf_mtl.training.step.objective import Objective
from hf_mtl.training.step.step import PlainStep, SplitStep, Step, TapedStep
from hf_mtl.training.step.task_gradients import TaskGradients


class StepMaker:
    """Begins each optimizer step of a run as what it needs to be.

    Args:
        model: The model itself.
        objective: Makes one scalar of the losses.
        loss_pass: Finds the losses of a whole step.
        gradients: Forms task gradients; None: no method of the run wants any.
        scaler: Runs the backward passes that the Trainer does not.
        processes: This process among the others.

    Attributes:
        current: The step that was begun last; None before the first.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        objective: Objective,
        loss_pass: LossPass,
        gradients: TaskGradients | None,
        scaler: LossScaler,
        processes: Processes,
    ):
        self.current: Step | None = None
        self._parts = (model, objective, loss_pass)
        self._gradients = gradients
        self._scaler = scaler
        self._world = processes.world

    def begin(self, batches: Sequence[Batch]) -> Step:
        """Begin a step with all micro-batches that this process has in it."""
        self.current = self._choose()
        self.current.begin(batches)
        return self.current

    def abandon(self) -> None:
        """Forget a step that was broken off."""
        self.current = None

    def _choose(self) -> Step:
        gradients = self._gradients
        if gradients is None or not gradients.wanted:
            return PlainStep(*self._parts, self._world)
        kind = SplitStep if gradients.by_task else TapedStep
        return kind(*self._parts, gradients, self._scaler, self._world)
