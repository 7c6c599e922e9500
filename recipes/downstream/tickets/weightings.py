"""A loss weighting, known to recipes by name."""

from typing import ClassVar

import torch
from torch import Tensor

from hf_mtl.balancing.base import register
from hf_mtl.balancing.checks import Positive
from hf_mtl.balancing.last_losses import LastLosses


@register("hardest")
class Hardest(LastLosses):
    """Weight tasks by the softmax of their losses, so that the hardest counts most.

    Args:
        num_tasks: Number of tasks T.
        temperature: Of the softmax; larger is more uniform.
        weight_sum: Rescale the weights to this sum. None: 1.

    Shape:
        losses [T] -> weights [T], summing to 1.
    """

    source: ClassVar[str] = "-"
    sums_to = "1"

    def __init__(self, num_tasks: int, temperature: Positive = 1.0, weight_sum: Positive | None = None):
        super().__init__(num_tasks, weight_sum)
        self.temperature = temperature

    def from_losses(self, losses: Tensor) -> Tensor:
        """Compute the weights, [T]."""
        return torch.softmax(losses / self.temperature, dim=0)
