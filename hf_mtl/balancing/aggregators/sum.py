"""The sum of the task gradients."""

from typing import Any

import numpy as np

from hf_mtl.balancing.aggregator import Reduction, Scope, register
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.solvers import Array


@register("sum")
class Sum(GramianAggregator):
    """Add the task gradients up: ordinary training on the sum of the losses.

    A baseline for the other aggregators, taken the way that they are. The same training costs less without an
    aggregator: the weighting ``ew`` with ``weight_sum`` T and ``exposure: tasks``.

    Needs G, to see which rows are zero. Cost: G. Scale: sum.

    Args:
        num_tasks: Number of tasks T.
        reduction: ``mean`` divides by the number of tasks in the step.
        scope: Parameters whose gradients decide which rows are active.

    Shape:
        J [T, P] -> [P]; weights 1.
    """

    source = "baseline"
    other_names = ("add", "linear_scalarization")
    scale = "sum"
    cost = "Gramian"

    def __init__(self, num_tasks: int, reduction: Reduction = "sum", scope: Scope = "all"):
        super().__init__(num_tasks, scope)
        self.reduction = reduction

    def solve(self, gramian: Array, active: Array, losses: Array | None, **draws: Any) -> Array:
        """Return 1 for every row."""
        return np.ones(len(active))
