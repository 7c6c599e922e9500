"""Scaled loss approximate weighting."""

from typing import ClassVar

import torch
from torch import Tensor

from hf_mtl.balancing.base import LossWeighting, Need, register
from hf_mtl.balancing.checks import Positive, Share

_FLOOR = 1e-5
_Statistics = tuple[Tensor, Tensor, Tensor]


@register("slaw")
class SLAW(LossWeighting):
    """Weight tasks by the inverse standard deviation of their losses: T (1/sigma_t) / sum of 1/sigma.

    sigma_t is sqrt(max(q_t - m_t^2, 0)), at least 1e-5, of the running mean m and second moment q of the loss, this
    step's included. While a task has fewer than two observations all weights are 1.

    Source: Crawshaw, Kosecka, 2021, arXiv:2109.08218, which takes sigma as an estimate of the gradient's norm. The
    running averages are arithmetic for the first round(1 / (1 - beta)) observations of a task, then exponential, as
    in the authors' code (mtcrawshaw/meta); an average from zero would give sigma in proportion to the loss.

    Needs this step's losses before the backward (the authors update, then weigh); costs nothing with one
    micro-batch. State: m, q and the number of observations, per task.

    Args:
        beta: Decay of the running averages.
        num_tasks: Number of tasks T.
        weight_sum: Rescale the weights to this sum. None: T.

    Shape:
        losses [T] -> weights [T], summing to T.
    """

    source: ClassVar[str] = "arXiv:2109.08218"
    other_names = ("scaled_loss_approximate_weighting",)
    needs: ClassVar[frozenset[Need]] = frozenset({"losses"})
    cost: ClassVar[str] = "nothing with one micro-batch; else a forward for the losses"
    sums_to = "T"
    mean: Tensor
    square: Tensor
    count: Tensor

    def __init__(self, num_tasks: int, beta: Share = 0.99, weight_sum: Positive | None = None):
        super().__init__(num_tasks, weight_sum)
        self.beta = beta
        self.arithmetic = round(1 / (1 - beta))
        self.register_buffer("mean", torch.zeros(num_tasks, dtype=torch.float64))
        self.register_buffer("square", torch.zeros(num_tasks, dtype=torch.float64))
        self.register_buffer("count", torch.zeros(num_tasks, dtype=torch.int64))

    def coefficients(self) -> Tensor:
        """Return the weights by what was seen so far, [T]."""
        return self._weights_of(self.mean, self.square, self.count)

    def coefficients_at(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the weights with this step's losses seen too, [T]."""
        return self._weights_of(*self._with(losses, present & torch.isfinite(losses)))

    def record(self, losses: Tensor, seen: Tensor) -> None:
        """Take the losses into the averages."""
        self.mean, self.square, self.count = self._with(losses, seen)

    def _with(self, losses: Tensor, seen: Tensor) -> _Statistics:
        count = self.count + seen
        rate = torch.where(count <= self.arithmetic, 1.0 / count.clamp(min=1).double(), 1 - self.beta)
        mean = torch.where(seen, self.mean + rate * (losses - self.mean), self.mean)
        square = torch.where(seen, self.square + rate * (losses**2 - self.square), self.square)
        return mean, square, count

    def _weights_of(self, mean: Tensor, square: Tensor, count: Tensor) -> Tensor:
        # The variance is a small difference of large numbers, which rounding may bring below 0.
        inverse = 1.0 / (square - mean**2).clamp(min=0).sqrt().clamp(min=_FLOOR)
        weights = self.num_tasks * inverse / inverse.sum()
        return torch.where((count >= 2).all(), weights, torch.ones_like(weights))
