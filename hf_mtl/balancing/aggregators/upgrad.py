"""The mean of the task gradients, each projected onto what harms no task."""

from typing import Any

import numpy as np

from hf_mtl.balancing.aggregator import Scope, register
from hf_mtl.balancing.checks import NotNegative
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.preferences import GivenPreferences, Preferences
from hf_mtl.balancing.solvers import Array, non_negative_least_squares


@register("upgrad")
class UPGrad(GramianAggregator):
    """Project each row onto the dual cone of the rows, the directions that oppose no task, and average.

    Source: Quinton, Rey, "Jacobian Descent for Multi-Objective Optimization", arXiv:2406.16232. Row t's weights are
    argmin over v >= b_t e_t of vᵀ (G / tr G + rho I) v. (TorchJD returns the plain mean where tr G is below 1e-4,
    which fine-tuning often is; here only ratios matter.) b_t is 1/m, or the task's share of the preferences.

    Needs G. Cost: G, and one small non-negative least squares per task. Scale: mean.

    Args:
        num_tasks: Number of tasks T.
        rho: Regularisation, relative to the trace of G; at 0 nearly parallel rows are badly conditioned.
        preferences: A positive number for each task: its part b_t in the mean. Only ratios count. None: all alike.
        scope: Parameters whose gradients decide.

    Shape:
        J [T, P] -> [P]; weights at least b.
    """

    source = "arXiv:2406.16232"
    other_names = ("unconflicting_projection_of_gradients", "unconflicting_projection")
    scale = "mean"
    cost = "Gramian"

    def __init__(
        self,
        num_tasks: int,
        rho: NotNegative = 1e-4,
        preferences: GivenPreferences = None,
        scope: Scope = "all",
    ):
        super().__init__(num_tasks, scope)
        self.rho = rho
        self.preferences = Preferences(preferences, num_tasks)

    def solve(self, gramian: Array, active: Array, losses: Array | None, **draws: Any) -> Array:
        """Return the sum over rows of their projections' weights."""
        m, preferred = len(gramian), self.preferences.of(active)
        values, vectors = np.linalg.eigh(gramian / np.trace(gramian))
        factor = np.sqrt(np.maximum(values, 0.0) + self.rho)[:, None] * vectors.T
        # v = b_t e_t + u with u >= 0: |factor v| is least squares in u.
        weights: Array = preferred / m
        for row in range(m):
            weights += non_negative_least_squares(factor, -factor[:, row] * preferred[row] / m)
        return weights
