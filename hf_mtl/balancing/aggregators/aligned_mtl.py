"""Task gradients with their principal components made equally long."""

from typing import Any, Literal

import numpy as np

from hf_mtl.balancing.aggregator import Reduction, Scope, register
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.solvers import Array

FLOAT32_EPSILON = 1.1920929e-07

ScaleMode = Literal["min", "median", "rmse"]


@register("aligned_mtl")
class AlignedMTL(GramianAggregator):
    """Replace J by the nearest matrix with orthogonal rows of equal length, and sum its rows.

    Source: Senushkin et al., CVPR 2023, arXiv:2305.19000. w = sqrt(s) V Λ^(-1/2) Vᵀ 1 over the eigenvalues of G
    above T times float32's epsilon times the largest; that precision is used whatever G's dtype, because G comes
    from gradients of low precision.

    Needs G. Cost: G, and one eigendecomposition. Scale: sum.

    Args:
        num_tasks: Number of tasks T.
        scale_mode: The eigenvalue s that sets the length: the smallest, the median, or the mean (``rmse``).
        reduction: ``mean`` divides by the number of tasks in the step.
        scope: Parameters whose gradients decide.

    Shape:
        J [T, P] -> [P].
    """

    source = "arXiv:2305.19000"
    other_names = ("aligned_multi_task_learning", "independent_component_alignment")
    scale = "sum"
    cost = "Gramian"

    def __init__(
        self, num_tasks: int, scale_mode: ScaleMode = "min", reduction: Reduction = "sum", scope: Scope = "all"
    ):
        super().__init__(num_tasks, scope)
        self.scale_mode = scale_mode
        self.reduction = reduction

    def solve(self, gramian: Array, active: Array, losses: Array | None, **draws: Any) -> Array:
        """Compute sqrt(s) V Λ^(-1/2) Vᵀ 1."""
        values, vectors = np.linalg.eigh(gramian)
        least = len(values) * FLOAT32_EPSILON
        kept = values > least * values[-1]
        left_out = np.zeros(self.num_tasks, dtype=bool)
        left_out[active] = np.diag(gramian) <= least * values[-1]  # such a row lies among the components left out
        self._say_left_out(left_out, float(np.sqrt(least)))
        values, vectors = values[kept], vectors[:, kept]
        lengths = {"min": values[0], "median": np.median(values), "rmse": values.mean()}
        found: Array = vectors @ (vectors.sum(axis=0) * np.sqrt(lengths[self.scale_mode] / values))
        return found
