"""Geometric loss strategy."""

from typing import ClassVar

import torch
from torch import Tensor

from hf_mtl.balancing.base import register
from hf_mtl.balancing.last_losses import FLOOR
from hf_mtl.balancing.non_additive import NonAdditive


@register("gls")
class GLS(NonAdditive):
    """Minimise the geometric mean of the m present losses: exp of the mean of log max(L_t, 1e-8).

    Source: Chennupati et al., MultiNet++, CVPR workshops 2019, arXiv:1904.08492. The weight that LibMTL reports is
    not the derivative; here it is. Departs from the paper, which multiplies all losses, by clamping: one loss of zero
    would end all training. Sampling changes noise and coverage only, as each present task counts once.

    Needs this step's losses before the backward; costs nothing with one micro-batch. No state.

    Args:
        num_tasks: Number of tasks T.
        weight_sum: Rescale the effective weights to this sum. None: GLS / (m L_t).

    Shape:
        losses [T], non-negative -> effective weights GLS / (m L_t) [T], 0 for absent tasks.
    """

    source: ClassVar[str] = "arXiv:1904.08492"
    other_names = ("geometric_loss_strategy", "geometric_mean")
    cost: ClassVar[str] = "nothing with one micro-batch; else a forward for the losses"

    def combine(self, losses: Tensor, tasks: Tensor) -> Tensor:
        """Return the geometric mean, [m] -> []."""
        return torch.log(torch.where(losses > FLOOR, losses, FLOOR)).mean().exp()
