"""The direction near the mean gradient that does best for the worst-served task."""

from typing import Any, Literal

import numpy as np
from scipy.optimize import brentq

from hf_mtl.balancing.aggregator import Scope, register
from hf_mtl.balancing.checks import Share
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.preferences import GivenPreferences, Preferences
from hf_mtl.balancing.solvers import Array, cosine_factor, nearest_to_origin

SINGULAR = 1e-6
"""Below this fraction of the mean gradient's norm, the correction has no direction."""


class ConflictAverse(GramianAggregator):
    """Base of CAGrad and its descendants: the mean of the rows, corrected within a ball around it.

    Args:
        num_tasks: Number of tasks T.
        c: Radius, as a fraction of the mean gradient's norm, in [0, 1).
        rescale: 1 divides a corrected mean by 1 + c², 0 does not.
        scope: Parameters whose gradients decide.
    """

    scale = "mean"
    cost = "Gramian"

    def __init__(self, num_tasks: int, c: Share, rescale: Literal[0, 1], scope: Scope = "all"):
        super().__init__(num_tasks, scope)
        self.c = c
        self.rescale = rescale

    def corrected(self, gramian: Array, trust: float, preferred: Array) -> Array:
        """Return the weights by `conflict_averse_weights`, rescaled where the mean was corrected, [m].

        Args:
            gramian: G [m, m].
            trust: Weight of the second term of the inner problem.
            preferred: The preferences of the rows, with a mean of 1, [m].
        """
        weights = conflict_averse_weights(gramian, self.c, trust, preferred)
        if weights is None:
            found: Array = preferred / len(gramian)
            return found
        return weights / (1.0 + self.c**2) if self.rescale else weights


@register("cagrad")
class CAGrad(ConflictAverse):
    """Maximise the smallest projection on a task gradient, within a ball of radius c |g0| around the mean g0.

    Source: Liu et al., NeurIPS 2021, arXiv:2110.14048. x = argmin over the simplex of xᵀGb + c sqrt(bᵀGb · xᵀGx),
    w = b + c sqrt(bᵀGb / xᵀGx) x. Solved exactly here (see `conflict_averse_weights`) rather than by the authors'
    SLSQP, whose absolute constants decide for small gradients. Their code multiplies by the number of tasks
    afterwards; this does not. b is 1/m, or the tasks' shares of the preferences.

    Needs G. Cost: G, and about ten small non-negative least squares. Scale: mean.

    Args:
        num_tasks: Number of tasks T.
        c: Radius, as a fraction of |g0|, in [0, 1). 0: the mean.
        rescale: 1 divides the result by 1 + c², 0 does not. The mean itself, where the correction vanishes, is not
            divided.
        preferences: A positive number for each task: its part in the mean g0. Only ratios count. None: all alike.
        scope: Parameters whose gradients decide.

    Shape:
        J [T, P] -> [P]; weights non-negative.
    """

    source = "arXiv:2110.14048"
    other_names = ("conflict_averse_gradient_descent",)

    def __init__(
        self,
        num_tasks: int,
        c: Share = 0.4,
        rescale: Literal[0, 1] = 1,
        preferences: GivenPreferences = None,
        scope: Scope = "all",
    ):
        super().__init__(num_tasks, c, rescale, scope)
        self.preferences = Preferences(preferences, num_tasks)

    def solve(self, gramian: Array, active: Array, losses: Array | None, **draws: Any) -> Array:
        """Compute b + c sqrt(bᵀGb / xᵀGx) x."""
        return self.corrected(gramian, 1.0, self.preferences.of(active))


def conflict_averse_weights(gramian: Array, c: float, trust: float, preferred: Array | None = None) -> Array | None:
    """Compute b + c sqrt(bᵀGb / xᵀGx) x, x = argmin over the simplex of xᵀGb + trust · c sqrt(bᵀGb · xᵀGx).

    With sqrt(q) = min over r of (q/r + r)/2, x is for a given r the point of the rows' convex hull that is nearest
    to -(r / (trust c)) g0/|g0|, a least-norm problem; r = sqrt(xᵀGx) is found by bisection and secants, as the
    minimum of a convex function.

    Args:
        gramian: G [m, m].
        c: Radius.
        trust: Weight of the second term relative to the first; 1 is CAGrad.
        preferred: m b, the preferences of the rows with a mean of 1, [m]. None: all alike.

    Returns:
        w [m]; None where the mean gradient or the correction vanishes, and w is b.
    """
    b = (np.ones(len(gramian)) if preferred is None else preferred) / len(gramian)
    norms, factor = cosine_factor(gramian)
    columns = factor * (norms / norms.max())
    mean = columns @ b
    mean_norm = float(np.linalg.norm(mean))
    if c == 0 or mean_norm <= 1e-10:
        return None
    x = _steepest(columns, mean) if trust * c < 1e-5 else _inner_minimum(columns, mean, trust * c)
    if x is None:
        return None
    length = float(np.linalg.norm(columns @ x))
    return None if length < SINGULAR * mean_norm else b + c * mean_norm / length * x


def _inner_minimum(columns: Array, mean: Array, radius: float) -> Array | None:
    """Return x; None where the minimum is at a combination that vanishes."""
    direction = mean / np.linalg.norm(mean)

    def solution(length: float) -> Array:
        return nearest_to_origin(columns + (length / radius) * direction[:, None])

    def excess(length: float) -> float:
        return float(np.linalg.norm(columns @ solution(length))) - length

    # A root below it would be a correction too short to have a direction.
    low = 0.1 * SINGULAR * float(np.linalg.norm(mean))
    high = float(np.linalg.norm(columns, axis=0).max()) * (1 + 1e-12)
    if excess(low) <= 0:
        return None
    return solution(brentq(excess, low, high, xtol=1e-14, rtol=1e-12)) if excess(high) < 0 else solution(high)


def _steepest(columns: Array, mean: Array) -> Array:
    """Return the limit of a vanishing second term: the least-projecting row, or the least norm among several."""
    projections = mean @ columns
    chosen = projections <= projections.min() + 1e-9 * np.abs(projections).max()
    x = np.zeros(len(projections))
    x[chosen] = nearest_to_origin(columns[:, chosen])
    return x
