"""Optimal uncertainty weighting."""

from typing import ClassVar

from torch import Tensor

from hf_mtl.balancing.base import register
from hf_mtl.balancing.last_losses import FLOOR, LastLosses


@register("uw_o")
class UWO(LastLosses):
    """Weight every task by the inverse of its loss, taken as a constant: w_t = 1 / max(L_t, 1e-8).

    Source: UW-O of Kirchdorfer et al., GCPR 2024, arXiv:2408.07985: uncertainty weighting with its log variances at
    their optimum. The gradient is that of `SI` (which stops at 1e-8, where this weight stays 1e8).

    Needs this step's losses before the backward; costs nothing with one micro-batch.

    Args:
        num_tasks: Number of tasks T.
        weight_sum: Rescale the weights to this sum. None: 1/L_t.

    Shape:
        losses [T], non-negative -> weights [T]; of an absent task by its last loss.
    """

    source: ClassVar[str] = "arXiv:2408.07985"
    other_names = ("optimal_uncertainty_weighting", "analytical_uncertainty_weighting")
    cost: ClassVar[str] = "nothing with one micro-batch; else a forward for the losses"

    def from_losses(self, losses: Tensor) -> Tensor:
        """Compute 1 / L_t, [T]."""
        return 1.0 / losses.clamp(min=FLOOR)
