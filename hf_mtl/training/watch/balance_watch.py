"""Says what a weighting does to a task that reads as balancing and is not."""

import torch
from torch import Tensor

from hf_mtl.balancing import LossWeighting
from hf_mtl.shown import get_logger
from hf_mtl.training.step.result import StepResult

logger = get_logger(__name__)

STEPS_IN_A_ROW = 20
STARVED = 1e-3
# A loss below this has no gradient to speak of, and needs no weight.
_NOTHING_LEFT = 1e-8
# Their weights are the user's own choice, or drawn.
_CHOSEN = ("ew", "tw", "fixed", "rlw")


class BalanceWatch:
    """Warns once per task and run, after `STEPS_IN_A_ROW` of the task's steps in which the same holds.

    Starved: the task's weight is below `STARVED` of the mean weight of the step's tasks, while it has a loss. Where a
    weighting combines the losses in one product or maximum, also below that share of 1/m, m the tasks of the step:
    a geometric mean that is almost zero stops all of them. Resting: the task's learned parameter stays at an end of
    its range.

    Args:
        names: The tasks.
        weighting: The loss weighting.
        speaks: Whether this is the process that speaks for all.
    """

    def __init__(self, names: list[str], weighting: LossWeighting, speaks: bool):
        self.names = names
        self.weighting = weighting
        self._watches = speaks and len(names) > 1 and weighting.name not in _CHOSEN
        self.begin()

    def begin(self) -> None:
        """Begin a training, which may say again what one before has said."""
        self._in_a_row = torch.zeros(2, len(self.names), dtype=torch.int64)  # steps starved, steps resting
        self._told = torch.zeros_like(self._in_a_row, dtype=torch.bool)

    def observe(self, result: StepResult) -> None:
        """Take one optimizer step."""
        if not self._watches:
            return
        result = result.on_host
        losses, present, weights = result.losses.detach(), result.present, result.weights.detach()
        resting = self.weighting.resting().cpu()
        holds = torch.stack([self._starved(losses, weights, present), resting])
        self._in_a_row = torch.where(holds, self._in_a_row + present, self._in_a_row * ~present)
        due = (self._in_a_row >= STEPS_IN_A_ROW) & present & ~self._told
        self._told |= due
        for task in due[0].nonzero().flatten().tolist():
            self._say_starved(task, losses, torch.where(present, weights, -torch.inf))
        for task in due[1].nonzero().flatten().tolist():
            self._say_resting(task, float(losses[task]))

    def _starved(self, losses: Tensor, weights: Tensor, present: Tensor) -> Tensor:
        """Tell which tasks of the step have next to no weight though they have a loss, bool [T]."""
        tasks = int(present.sum())
        if tasks < 2:
            return torch.zeros_like(present)
        equal = weights[present].mean()
        if not self.weighting.additive and self.weighting.weight_sum is None:
            equal = equal.clamp(min=1 / tasks)
        return (weights < STARVED * equal) & (losses > _NOTHING_LEFT)

    def _say_starved(self, task: int, losses: Tensor, weights: Tensor) -> None:
        smallest = int(torch.where(weights.isinf(), torch.inf, losses).argmin())
        logger.warning(
            f"The weighting '{self.weighting.name}' has given '{self.names[task]}' less than {STARVED:g} of an equal "
            f"weight in {STEPS_IN_A_ROW} steps in a row, and the task hardly trains. The smallest loss is that of "
            f"'{self.names[smallest]}', {losses[smallest]:.1e}. Let that task leave (schedules), or use a weighting "
            "that does not follow small losses, such as ew, uw or dwa."
        )

    def _say_resting(self, task: int, loss: float) -> None:
        logger.warning(
            f"The weighting '{self.weighting.name}' has held '{self.names[task]}' at the end of its range for "
            f"{STEPS_IN_A_ROW} steps: the weight no longer follows the loss, {loss:.1e}. Raise "
            "balancing.weighting.clip, or bring the loss to another scale (standardize does that for a regression)."
        )
