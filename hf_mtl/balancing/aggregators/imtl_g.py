"""The direction on which every task's unit gradient has the same projection."""

from typing import Any

import numpy as np

from hf_mtl.balancing.aggregator import register
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.solvers import Array

CUTOFF = 1e-11


@register("imtl_g")
class IMTLG(GramianAggregator):
    """Weight the rows so that the result projects equally on every unit task gradient.

    Source: Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021 (OpenReview IMPnRXEWpvr). Weights are
    w ∝ D⁻¹ C⁺ 1 with D the norms and C the cosines: the paper's closed form, better conditioned. They may be
    negative, and are large where they nearly sum to zero.

    Needs G. Cost: G, and one eigendecomposition. Scale: mean (weights sum to 1).

    Args:
        num_tasks: Number of tasks T.
        scope: Parameters whose gradients decide.

    Shape:
        J [T, P] -> [P]; weights sum to 1.
    """

    source = "OpenReview IMPnRXEWpvr (ICLR 2021)"
    other_names = ("impartial_gradient_balance", "impartial_multi_task_learning_gradient")
    scale = "mean"
    cost = "Gramian"

    def solve(self, gramian: Array, active: Array, losses: Array | None, **draws: Any) -> Array:
        """Compute D⁻¹ C⁺ 1, normalised; uniform where that sums to nothing."""
        norms = np.sqrt(np.diag(gramian))
        cosines = gramian / np.outer(norms, norms)
        of_units = np.linalg.pinv(cosines, rcond=CUTOFF, hermitian=True).sum(axis=1)
        weights = of_units / (norms / norms.max())
        total = weights.sum()
        # No eigenvalue of C is above m: what is next to nothing here is rounding, as where two tasks are opposed.
        if np.abs(of_units).max() <= 1e-9 or abs(total) <= 1e-12 * np.abs(weights).sum():
            return np.full(len(norms), 1.0 / len(norms))
        found: Array = weights / total
        return found
