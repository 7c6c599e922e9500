"""Soft optimal uncertainty weighting."""

from typing import ClassVar

import torch
from torch import Tensor

from hf_mtl.balancing.base import register
from hf_mtl.balancing.checks import Positive
from hf_mtl.balancing.last_losses import FLOOR, LastLosses


@register("uw_so")
class UWSO(LastLosses):
    """Weight tasks by a softmax over inverse losses, taken as constants: w = softmax(1 / max(L, 1e-8) / temperature).

    Source: UW-SO of Kirchdorfer et al., GCPR 2024, arXiv:2408.07985. Small losses win: as one goes to 0 the others
    starve, which a larger temperature delays; tune it, 1 to 100.

    Needs this step's losses before the backward; costs nothing with one micro-batch.

    Args:
        temperature: Softmax temperature, in 1/nats; larger is more uniform.
        num_tasks: Number of tasks T.
        weight_sum: Rescale the weights to this sum. None: 1.

    Shape:
        losses [T], non-negative -> weights [T], summing to 1; an absent task enters with its last loss.
    """

    source: ClassVar[str] = "arXiv:2408.07985"
    other_names = ("soft_optimal_uncertainty_weighting",)
    cost: ClassVar[str] = "nothing with one micro-batch; else a forward for the losses"
    sums_to = "1"

    def __init__(self, num_tasks: int, temperature: Positive = 1.0, weight_sum: Positive | None = None):
        super().__init__(num_tasks, weight_sum)
        self.temperature = temperature

    def from_losses(self, losses: Tensor) -> Tensor:
        """Return the softmax, [T]."""
        return torch.softmax(1.0 / losses.clamp(min=FLOOR) / self.temperature, dim=0)
