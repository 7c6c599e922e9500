"""The point of least norm in the convex hull of the task gradients."""

from typing import Any, Literal

import numpy as np

from hf_mtl.balancing.aggregator import Scope, register
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.preferences import GivenPreferences, Preferences
from hf_mtl.balancing.solvers import Array, min_norm_weights

Normalization = Literal["none", "l2", "loss", "loss+"]


@register("mgda")
class MGDA(GramianAggregator):
    """Take the convex combination of least norm, which no task's gradient opposes.

    Source: Sener, Koltun, NeurIPS 2018, arXiv:1810.04650; Désidéri, 2012. Zero only at a Pareto-stationary point,
    and short wherever one gradient is: it follows the task of the smallest gradient. Solved exactly (the published
    Frank-Wolfe iterations stop up to 14 % above the minimum).

    Needs G, and the losses for ``loss`` and ``loss+``. Cost: G, and one small non-negative least squares. Scale:
    mean (weights sum to 1).

    Args:
        num_tasks: Number of tasks T.
        normalization: What each row is divided by before solving: nothing, its norm (``l2``), its loss, or both
            (``loss+``). As in the authors' code, the weights then apply to the rows as they are; LibMTL applies
            them to the divided rows.
        preferences: A positive number b_t for each task, by which its row is divided before solving and in the
            result: the tasks that decide gain in proportion to them. Only ratios count. None: all alike.
        scope: Parameters whose gradients decide.

    Shape:
        J [T, P] -> [P]; weights on the simplex.

    Raises:
        ValueError: If called without ``losses=`` where they are needed.
    """

    source = "arXiv:1810.04650"
    other_names = ("multiple_gradient_descent", "minimum_norm", "pareto")
    scale = "mean"
    cost = "Gramian"

    def __init__(
        self,
        num_tasks: int,
        normalization: Normalization = "none",
        preferences: GivenPreferences = None,
        scope: Scope = "all",
    ):
        super().__init__(num_tasks, scope)
        self.normalization = normalization
        self.preferences = Preferences(preferences, num_tasks)
        if normalization.startswith("loss"):
            self.needs = frozenset({"gramian", "losses"})

    def solve(self, gramian: Array, active: Array, losses: Array | None, **draws: Any) -> Array:
        """Find the argmin over the simplex of wᵀ G w, after normalization and division by the preferences."""
        preferred = self.preferences.of(active)
        divisor = preferred
        if self.normalization in ("l2", "loss+"):
            divisor = divisor * np.sqrt(np.diag(gramian))
        if losses is not None:
            divisor = divisor * np.maximum(losses, 1e-8)  # nats; a loss of zero must not outweigh all others
        of_divided = min_norm_weights(gramian / np.outer(divisor, divisor))
        weights = of_divided / preferred
        found: Array = weights * (of_divided.sum() / weights.sum())
        return found
