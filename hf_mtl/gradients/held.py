"""The questions that a step's task gradients answer, however they are held."""

from collections.abc import Callable, Iterator
from typing import Protocol

from torch import Tensor, nn

Chosen = Callable[[nn.Parameter], bool]
"""Tells whether a parameter takes part."""


class HeldGradients(Protocol):
    """The gradients of every task of one optimizer step, added up over micro-batches and processes.

    Every task's gradient is of its part of the step's scalar, as the backward left it.
    """

    def gramian(self, chosen: Chosen | None = None) -> Tensor:
        """Form the inner products of the task gradients, float64 [T, T].

        Args:
            chosen: The parameters to take; None: all.
        """

    def combine(self, weights: Tensor) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """Yield each parameter that had a gradient, with the sum over tasks of weight times gradient.

        Args:
            weights: Weight of each task, [T].
        """
