"""The loss balance of IMTL."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from hf_mtl.balancing.base import LossWeighting, register
from hf_mtl.balancing.checks import Positive


@register("imtl_l")
class IMTLL(LossWeighting):
    """Learn one log scale s_t per task: sum of exp(s_t) L_t - s_t.

    Source: IMTL-L of Liu et al., Towards Impartial Multi-task Learning, ICLR 2021 (OpenReview IMPnRXEWpvr). At the
    optimum exp(s_t) = 1 / L_t; twice `UW` ``half`` at -s. The trainer's optimizer trains s; only present tasks'
    terms enter, so an absent task's s does not move.

    Costs nothing.

    Args:
        clip: s returns to [-clip, clip] after each step.
        num_tasks: Number of tasks T.
        weight_sum: Rescale the weights to this sum. None: the method's own scale.

    Shape:
        losses [T], non-negative -> weights exp(s) [T].
    """

    source: ClassVar[str] = "OpenReview IMPnRXEWpvr (ICLR 2021)"
    other_names = ("impartial_loss_balance", "impartial_multi_task_learning_loss")

    def __init__(self, num_tasks: int, clip: Positive = 5.0, weight_sum: Positive | None = None):
        super().__init__(num_tasks, weight_sum)
        self.clip = clip
        self.s = nn.Parameter(torch.zeros(num_tasks, dtype=torch.float64))

    def coefficients(self) -> Tensor:
        """Compute exp(s_t), [T]."""
        return torch.exp(self.s)

    def penalties(self) -> Tensor:
        """Return -s_t, [T]."""
        return -self.s

    def resting(self) -> Tensor:
        """Tell where s is at -clip or clip."""
        return self.s.detach().abs() >= self.clip

    @torch.no_grad()
    def after_step(self) -> None:
        """Bring s back to [-clip, clip]."""
        self.s.clamp_(-self.clip, self.clip)
