"""Task gradients without what opposes another task."""

from typing import Any

import numpy as np

from hf_mtl.balancing.aggregator import Reduction, Scope, register
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.orders import Orders, active_orders, draw_orders
from hf_mtl.balancing.solvers import Array


@register("pcgrad")
class PCGrad(GramianAggregator):
    """Project each row onto the normal plane of every other row that it conflicts with, in random order; sum.

    Source: Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, arXiv:2001.06782. Each projection
    is against the other's original gradient, and never against the row itself (LibMTL and the authors' TensorFlow
    code also visit it, which matters from three tasks on). Done on coefficients, so G suffices.

    Needs G. Cost: G. Scale: sum. Random: one order per task and optimizer step, injectable as ``orders=``.

    Args:
        num_tasks: Number of tasks T.
        reduction: ``mean`` divides by the number of tasks in the step.
        scope: Parameters whose gradients decide.

    Shape:
        J [T, P], orders [T][T - 1] -> [P].

    Raises:
        ValueError: If the orders given are no orders of the other tasks.
    """

    source = "arXiv:2001.06782"
    other_names = ("gradient_surgery", "projecting_conflicting_gradients")
    scale = "sum"
    cost = "Gramian"
    remembers = ("draws",)

    def __init__(self, num_tasks: int, reduction: Reduction = "sum", scope: Scope = "all"):
        super().__init__(num_tasks, scope)
        self.reduction = reduction
        self.draws = 0

    def solve(
        self, gramian: Array, active: Array, losses: Array | None, orders: Orders | None = None, **draws: Any
    ) -> Array:
        """Sum the rows' coefficients after all projections."""
        if orders is None:
            orders = draw_orders(self.num_tasks, self.seed, self.draws)
            self.draws += 1
        found: Array = projected(gramian, active_orders(orders, active)).sum(axis=0)
        return found


def projected(gramian: Array, orders: Array) -> Array:
    """Return each row after its projections, as coefficients of all rows, [m, m].

    Args:
        gramian: G [m, m] of rows that are not zero.
        orders: The other rows in the order in which each row visits them, [m, m - 1].
    """
    squares = np.diag(gramian)
    rows = np.arange(len(gramian))
    coefficients = np.eye(len(gramian))
    for visited in orders.T:  # every row's next visit at once
        products = (coefficients * gramian[:, visited].T).sum(axis=1)
        coefficients[rows, visited] -= np.minimum(products, 0.0) / squares[visited]
    return coefficients
