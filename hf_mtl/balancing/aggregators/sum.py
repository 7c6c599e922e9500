"""The sum of the task gradients."""

from typing import Any

import numpy as np

from hf_mtl.balancing.aggregator import Reduction, Scope, one_of, register
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.solvers import Array


@register("sum")
class Sum(GramianAggregator):
    """Add the task gradients up: ordinary training on the sum of the losses.

    Needs nothing: the weights are known before the gradients. Scale: sum.

    Args:
        num_tasks: Number of tasks T.
        reduction: ``mean`` divides by the number of tasks in the step.
        scope: Has no effect on the result.

    Shape:
        J [T, P] -> [P]; weights 1.
    """

    source = "baseline"
    scale = "sum"
    needs = frozenset()
    cost = "nothing"

    def __init__(self, num_tasks: int, reduction: Reduction = "sum", scope: Scope = "all"):
        super().__init__(num_tasks, scope)
        self.reduction = one_of(reduction, ("sum", "mean"), "reduction")

    def solve(self, gramian: Array, active: Array, losses: Array | None, **draws: Any) -> Array:
        """1 for every row."""
        return np.ones(len(active))
