"""Aggregators by their needs: inner products alone, gradients at other points, or a training phase of their own."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from hf_mtl.balancing.aggregator import GradientAggregator


@runtime_checkable
class FromGramian(Protocol):
    """An aggregator that decides by inner products alone: ``jacobian`` is not among its needs."""

    def weights_from_gramian(
        self, gramian: Tensor, losses: Tensor | None = None, present: Tensor | None = None, **draws: Any
    ) -> Tensor:
        """Return the weights w [T] of this step from G [T, T]; see `GramianAggregator.weights_from_gramian`."""


class LookAhead(GradientAggregator):
    """An aggregator with the need ``second_backward``: it also wants each task's gradient at a point of its own.

    In a step, before the call: `perturbations` of the rows J, then ``observe(jacobian=)`` of each task's gradient at
    the parameters plus its own perturbation, on the same rows of data with the same dropout.

    Attributes:
        rho: Length of a perturbation; that of the heads' own, too.
    """

    rho: float

    @abstractmethod
    def perturbations(self, jacobian: Tensor) -> Tensor:
        """Return the displacement at which each task's gradient is wanted, [T, P]; 0 for a zero row."""


@dataclass(frozen=True)
class Conflict:
    """Disagreement of the rows of a step.

    Args:
        cosines: Cosine of each row with the mean of the active rows, [T]; 0 for inactive rows.
        sharpness_weights: Weight of each task's sharpness in the search, m (1 - |g_t| / sum |g|), [T]; 0 for
            inactive rows.
        triggered: Whether a row does not agree with the mean: the smallest cosine is at most 0.
    """

    cosines: Tensor
    sharpness_weights: Tensor
    triggered: bool


class Teleporting(GradientAggregator):
    """An aggregator with the need ``adapter_training``: it says when to look for another point, and how.

    Attributes:
        rank: Rank of the adapters that search.
        last: What the last step's rows were like; None before the first step.
    """

    rank: int
    last: Conflict | None = None

    @abstractmethod
    def due(self, epoch: int) -> bool:
        """Tell whether to search now, after the step of `last`. Answering yes uses the epoch up."""
