"""Scale-invariant weighting."""

from typing import ClassVar

import torch
from torch import Tensor

from hf_mtl.balancing.base import register
from hf_mtl.balancing.last_losses import FLOOR, LastLosses


@register("si")
class SI(LastLosses):
    """Minimise the sum of the logarithms of the losses: sum of log max(L_t, 1e-8).

    Source: the baseline "SI" of Navon et al., Nash-MTL, ICML 2022, arXiv:2202.01017. Multiplying a loss by a constant
    changes nothing. A loss of 1e-8 or less is clamped and has no gradient.

    Needs this step's losses before the backward; costs nothing with one micro-batch.

    Args:
        num_tasks: Number of tasks T.
        weight_sum: Rescale the effective weights to this sum. None: 1/L_t.

    Shape:
        losses [T] -> effective weights 1 / L_t [T]; of an absent task by its last loss.
    """

    source: ClassVar[str] = "arXiv:2202.01017"
    other_names = ("scale_invariant", "log_loss")
    cost: ClassVar[str] = "nothing with one micro-batch; else a forward for the losses"

    def from_losses(self, losses: Tensor) -> Tensor:
        """Compute 1 / L_t, or 0 where clamped, [T]."""
        return torch.where(losses > FLOOR, 1.0 / losses.clamp(min=FLOOR), 0.0)

    def data_terms(self, losses: Tensor, coefficients: Tensor) -> Tensor:
        """Return the logarithms, [T]."""
        return torch.log(torch.where(losses > FLOOR, losses, FLOOR))
