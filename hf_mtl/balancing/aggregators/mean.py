"""The mean of the task gradients."""

from typing import Any

import numpy as np

from hf_mtl.balancing.aggregator import Scope, register
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.solvers import Array


@register("mean")
class Mean(GramianAggregator):
    """Average the task gradients: ordinary training on the mean of the losses.

    A baseline for the other aggregators, taken the way that they are. The same training costs less without an
    aggregator: the weighting ``ew`` with ``exposure: tasks``.

    Needs G, to see which rows are zero. Cost: G. Scale: mean over the tasks in the step, those included whose
    gradient happens to vanish (the golden values say so; ``present=`` names the tasks).

    Args:
        num_tasks: Number of tasks T.
        scope: Parameters whose gradients decide which rows are active.

    Shape:
        J [T, P] -> [P]; weights 1/m.
    """

    source = "baseline"
    other_names = ("average",)
    scale = "mean"
    cost = "Gramian"

    def __init__(self, num_tasks: int, scope: Scope = "all"):
        super().__init__(num_tasks, scope)
        self.reduction = "mean"

    def solve(self, gramian: Array, active: Array, losses: Array | None, **draws: Any) -> Array:
        """Return 1 for every row, which ``reduction`` divides."""
        return np.ones(len(active))
