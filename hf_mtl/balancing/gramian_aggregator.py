"""Aggregators that need only the inner products of the task gradients."""

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_mtl.balancing.aggregator import GradientAggregator, as_array
from hf_mtl.balancing.inner_products import combine, gramian, result_dtype
from hf_mtl.balancing.solvers import Array


class GramianAggregator(GradientAggregator):
    """An aggregator Jᵀ w whose weights w depend on the rows through G = J Jᵀ only."""

    def __call__(
        self,
        jacobian: Tensor,
        losses: Tensor | None = None,
        present: Tensor | None = None,
        coefficients: Tensor | None = None,
        **draws: Any,
    ) -> Tensor:
        """Compute Jᵀ w; see `GradientAggregator`."""
        self.check_shape(jacobian)
        weights = self.weights_from_gramian(gramian(jacobian), losses, present, **draws)
        return combine(weights if coefficients is None else weights * coefficients.to(weights), jacobian)

    def weights_from_gramian(
        self, gramian: Tensor, losses: Tensor | None = None, present: Tensor | None = None, **draws: Any
    ) -> Tensor:
        """Return the weights of this step.

        Args:
            gramian: Inner products of the task gradients G [T, T]; zero rows where a task is absent.
            losses: Task losses [T], where the method needs them.
            present: Which tasks have rows in this step, bool [T]. None: all.
            draws: Randomness to use instead of the method's own.

        Returns:
            w [T], of G's dtype (float32 at least) and device.

        Raises:
            NonFiniteRows: If a row, or a loss that the method needs, is not finite.
            ValueError: If a shape is wrong, or something that the method needs is missing.
        """
        self.check_gramian(gramian)
        products = as_array(gramian)
        norms = np.sqrt(np.maximum(np.diag(products), 0.0))
        active, active_losses = self._active(norms, present, losses)
        self.remember(norms**2, np.ones(self.num_tasks, dtype=bool) if present is None else as_array(present) > 0)
        weights = np.zeros(self.num_tasks)
        if len(active) == 1:
            weights[active] = self.single(int(active[0]))
        elif len(active) > 1:
            block = products[np.ix_(active, active)]
            # A product may be rounded otherwise in the other triangle; solvers that read one or both must agree.
            block = (block + block.T) / 2
            weights[active] = self.solve(block, active, active_losses, **draws) / self._divisor(present)
        self._last_weights = torch.from_numpy(weights)
        return self._last_weights.to(gramian.device, result_dtype(gramian.dtype))

    def remember(self, squares: Array, there: Array) -> None:
        """Remember the rows of a step, before its weights are sought; nothing here.

        Args:
            squares: Squared norm of each row, float64 [T], finite.
            there: Which tasks have rows in the step, bool [T].
        """

    def single(self, task: int) -> float:
        """Return the weight of the only active row."""
        return 1.0

    @abstractmethod
    def solve(self, gramian: Array, active: Array, losses: Array | None, **draws: Any) -> Array:
        """Return the weights [m] of m >= 2 active rows in the method's scale, before ``reduction``.

        Args:
            gramian: G of the active rows, float64 [m, m], symmetric, finite, with a positive diagonal.
            active: Their tasks, [m].
            losses: Their losses [m], where the method needs them.
            draws: Randomness to use.
        """
