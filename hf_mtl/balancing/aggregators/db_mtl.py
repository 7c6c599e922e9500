"""Gradients of log losses, averaged over steps and brought to the length of the longest."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_mtl.balancing.aggregator import GradientAggregator, Reduction, Scope, as_array, register
from hf_mtl.balancing.checks import NotNegative, Share, all_shared
from hf_mtl.balancing.inner_products import combine, gramian, result_dtype, row_norms
from hf_mtl.balancing.solvers import Array, guarded

EPSILON = 1e-8


@register("db_mtl")
class DBMTL(GradientAggregator):
    """Balance losses by their logarithm and gradients by their length: sum of (max |b| / |b_t|) b_t.

    Source: Lin et al., "Dual-Balancing for Multi-Task Learning", arXiv:2308.12029. b_t averages the gradients of
    log(L_t + 1e-8): b ← g + beta k^(-sigma) (b - g), starting at zero, k the number of steps that the task has
    been in. Departures: 1e-8 beside |b_t| is at most a millionth of it; a task's k counts its own steps, and an
    absent task's average rests and is left out; a single active row is returned as it is (and averaged).

    Needs the losses, and the rows J; with ``beta=0`` only G, and `weights_from_gramian` exists. Cost: T x P memory
    for the rows and again for the averages, which are in the checkpoint. Scale: sum.

    Args:
        num_tasks: Number of tasks T.
        beta: Share of the past in the average, in [0, 1). 0: no average, no state, for large models.
        sigma: How fast that share decays over steps, 0 or more.
        reduction: ``mean`` divides by the number of tasks in the step.
        scope: Must be ``all`` unless ``beta=0``: the averages are of what is updated.

    Shape:
        J [T, P], losses [T], nats -> [P].

    Raises:
        ValueError: If called without ``losses=``.
    """

    source = "arXiv:2308.12029"
    other_names = ("dual_balancing",)
    scale = "sum"
    needs = frozenset({"jacobian", "losses"})
    cost = "2 x T x P memory; with beta=0: Gramian"
    remembers = ("average", "steps")

    def __init__(
        self,
        num_tasks: int,
        beta: Share = 0.9,
        sigma: NotNegative = 0.0,
        reduction: Reduction = "sum",
        scope: Scope = "all",
    ):
        super().__init__(num_tasks, scope)
        self.beta = beta
        if beta > 0:
            all_shared(scope, "'db_mtl' averages what it updates, unless beta is 0")
        self.sigma = sigma
        self.reduction = reduction
        self.average: Tensor = torch.zeros(num_tasks, 0)  # [T, P] from the first step on
        self.steps: Tensor = torch.zeros(num_tasks, dtype=torch.int64)
        self.weights_from_gramian: Callable[..., Tensor]
        # Only then are inner products enough. The class has no such method, since whoever has it is a `FromGramian`.
        if beta == 0:
            self.needs = frozenset({"gramian", "losses"})
            self.weights_from_gramian = self._weights_from_gramian

    def __call__(
        self,
        jacobian: Tensor,
        losses: Tensor | None = None,
        present: Tensor | None = None,
        coefficients: Tensor | None = None,
        **draws: Any,
    ) -> Tensor:
        """Sum the averages at one length; see `GradientAggregator`."""
        self.check_shape(jacobian)
        if self.beta == 0:
            weights = self._weights_from_gramian(gramian(jacobian), losses, present)
            return combine(weights if coefficients is None else weights * coefficients.to(weights), jacobian)
        active, active_losses = self._active(as_array(row_norms(jacobian)), present, losses)
        assert active_losses is not None
        self._move(jacobian, active, active_losses)
        rows = jacobian if len(active) == 1 else self.average
        weights = torch.zeros(self.num_tasks, dtype=torch.float64)
        weights[active] = torch.from_numpy(self._lengths(as_array(row_norms(rows))[active], present))
        self._last_weights = weights
        weights = weights if coefficients is None else weights * coefficients.to(weights)
        return combine(weights, rows).to(result_dtype(jacobian.dtype))

    def _move(self, jacobian: Tensor, active: Array, losses: Array) -> None:
        """Average this step's rows in."""
        if self.average.shape[1] != jacobian.shape[1]:
            if self.average.shape[1]:
                raise ValueError(f"the Jacobian has {jacobian.shape[1]} columns, before {self.average.shape[1]}")
            self.average = torch.zeros(jacobian.shape, dtype=result_dtype(jacobian.dtype))
        self.average = self.average.to(jacobian.device)
        for task, loss in zip(active.tolist(), losses.tolist(), strict=True):
            self.steps[task] += 1
            share = self.beta * float(self.steps[task]) ** -self.sigma
            row = jacobian[task].to(self.average.dtype)
            self.average[task].mul_(share).add_(row, alpha=(1.0 - share) / (max(loss, 0.0) + EPSILON))

    def _weights_from_gramian(
        self, gramian: Tensor, losses: Tensor | None = None, present: Tensor | None = None, **draws: Any
    ) -> Tensor:
        """Return the weights of the rows without averages, [T]; see `GramianAggregator.weights_from_gramian`."""
        self.check_gramian(gramian)
        norms = as_array(torch.diagonal(gramian)).clip(0.0) ** 0.5
        active, active_losses = self._active(norms, present, losses)
        assert active_losses is not None
        weights = np.zeros(self.num_tasks)
        if len(active):
            slope = np.ones(1) if len(active) == 1 else 1.0 / (np.maximum(active_losses, 0.0) + EPSILON)
            weights[active] = self._lengths(norms[active] * slope, present) * slope
        self._last_weights = torch.from_numpy(weights)
        return self._last_weights.to(gramian.device, result_dtype(gramian.dtype))

    def _lengths(self, norms: Array, present: Tensor | None) -> Array:
        """Return what brings rows of these norms [m] to the length of the longest."""
        if len(norms) < 2:
            return np.ones(len(norms))
        lengths = np.divide(norms.max(), guarded(norms), out=np.zeros_like(norms), where=norms > 0)
        found: Array = lengths / self._divisor(present)
        return found
