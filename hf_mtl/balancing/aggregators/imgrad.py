"""CAGrad that trusts its correction less where the mean is far from the least-norm direction."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from hf_mtl.balancing.aggregator import Scope, register
from hf_mtl.balancing.aggregators.cagrad import ConflictAverse
from hf_mtl.balancing.checks import Share
from hf_mtl.balancing.solvers import Array, min_norm_weights


@register("imgrad")
class IMGrad(ConflictAverse):
    """CAGrad with weights kappa - s and s on the two terms of its inner problem, s = cos(mean, least-norm point).

    Source: Zhou et al., IJCAI 2025, arXiv:2503.08006, in the form of its code (zzpustc/IMGrad: nyuv2/utils.py);
    whether the paper's constrained form is the same is not confirmed. Its two-task script weights only part of the
    inner product; the general form is used for every number of tasks.

    Needs G. Cost: G, and about a dozen small non-negative least squares. Scale: mean.

    Args:
        num_tasks: Number of tasks T.
        c: Radius, as a fraction of the mean gradient's norm, in [0, 1).
        kappa: Weight of the first term where s is 0, above 1.
        rescale: 1 divides the result by 1 + c², 0 does not. The mean itself, where the correction vanishes, is not
            divided.
        scope: Parameters whose gradients decide.

    Shape:
        J [T, P] -> [P]; weights non-negative.
    """

    source = "arXiv:2503.08006"
    other_names = ("imbalanced_gradient",)

    def __init__(
        self,
        num_tasks: int,
        c: Share = 0.8,
        kappa: Annotated[float, Field(gt=1)] = 1.5,
        rescale: Literal[0, 1] = 0,
        scope: Scope = "all",
    ):
        super().__init__(num_tasks, c, rescale, scope)
        self.kappa = kappa

    def solve(self, gramian: Array, active: Array, losses: Array | None, **draws: Any) -> Array:
        """Return CAGrad's weights with the second term weighted s / (kappa - s)."""
        s = balance(gramian)
        return self.corrected(gramian, s / (self.kappa - s), np.ones(len(gramian)))


def balance(gramian: Array) -> float:
    """Return the cosine between the mean and the least-norm point of the hull, in [0, 1]; 0 where either vanishes."""
    x = min_norm_weights(gramian)
    projections = gramian.mean(axis=1)
    mean, least = float(projections.mean()), float(x @ gramian @ x)
    if min(mean, least) <= 1e-14 * np.diag(gramian).max():
        return 0.0
    return float(np.clip(x @ projections / np.sqrt(mean * least), 0.0, 1.0))
