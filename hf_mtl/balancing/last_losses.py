"""Weightings by the size of each task's loss, this step's or the last one seen."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from hf_mtl.balancing.base import LossWeighting, Need
from hf_mtl.balancing.checks import Positive

FLOOR = 1e-8
"""Losses are clamped here before a logarithm or a reciprocal."""


class LastLosses(LossWeighting, ABC):
    """A weighting whose coefficients are a function of the losses of all T tasks, and constants for the backward.

    An absent task enters with its last loss, one never seen with the mean of those that were.

    Args:
        num_tasks: Number of tasks T.
        weight_sum: Rescale the coefficients to this sum. None: the method's own scale.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"losses"})
    last: Tensor
    known: Tensor

    def __init__(self, num_tasks: int, weight_sum: Positive | None = None):
        super().__init__(num_tasks, weight_sum)
        self.register_buffer("last", torch.ones(num_tasks, dtype=torch.float64))
        self.register_buffer("known", torch.zeros(num_tasks, dtype=torch.bool))

    @abstractmethod
    def from_losses(self, losses: Tensor) -> Tensor:
        """Return the coefficients at these losses of all tasks, [T] -> [T]."""

    def coefficients(self) -> Tensor:
        """Return the coefficients at the last losses, [T]; before the first step at losses of 1."""
        return self.from_losses(_filled(self.last, self.known))

    def coefficients_at(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the coefficients at the losses of this step, [T]."""
        return self.from_losses(_filled(torch.where(present, losses, self.last), present | self.known))

    def record(self, losses: Tensor, seen: Tensor) -> None:
        """Keep the last loss of each task."""
        self.last = torch.where(seen, losses, self.last)
        self.known = self.known | seen


def _filled(losses: Tensor, known: Tensor) -> Tensor:
    """Put the mean of the known losses where none is known."""
    mean = torch.where(known, losses, 0.0).sum() / known.sum().clamp(min=1)
    return torch.where(known, losses, torch.where(known.any(), mean, 1.0))
