"""Task gradients turned towards each other until their cosines are what they usually are."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_mtl.balancing.aggregator import Reduction, Scope, register
from hf_mtl.balancing.checks import Portion
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.orders import Orders, active_orders, draw_orders
from hf_mtl.balancing.solvers import Array, guarded

CLOSEST = 1.0 - 1e-6
"""Target cosines are kept this far from ±1, where no finite multiple of the other row reaches them."""


@register("gradvac")
class GradVac(GramianAggregator):
    """As PCGrad, with a target cosine per pair of tasks, an average over steps, in the place of zero; sum.

    Source: Wang et al., "Gradient Vaccine", ICLR 2021, arXiv:2010.05874. Whole-model granularity. The default of
    ``beta`` is the small value of the original; LibMTL and TorchJD use 0.5. A pair's average moves when one visits
    the other, by the cosine from before the correction; pairs with an absent task keep theirs. A row that other
    rows have cancelled has no cosine and is left as it is. The codes' 1e-8 beside denominators is at most a millionth
    of them.

    Needs G. Cost: G. Scale: sum. State: the averages [T, T]. Random: as PCGrad, injectable as ``orders=``.

    Args:
        num_tasks: Number of tasks T.
        beta: Share of the newest cosine in the average, in [0, 1].
        reduction: ``mean`` divides by the number of tasks in the step.
        scope: Parameters whose gradients decide.

    Shape:
        J [T, P], orders [T][T - 1] -> [P].

    Raises:
        ValueError: If the orders given are no orders of the other tasks.
    """

    source = "arXiv:2010.05874"
    other_names = ("gradient_vaccine",)
    scale = "sum"
    cost = "Gramian"
    remembers = ("rho", "draws")

    def __init__(self, num_tasks: int, beta: Portion = 0.01, reduction: Reduction = "sum", scope: Scope = "all"):
        super().__init__(num_tasks, scope)
        self.beta = beta
        self.reduction = reduction
        self.rho: Tensor = torch.zeros(num_tasks, num_tasks, dtype=torch.float64)
        self.draws = 0

    def solve(
        self, gramian: Array, active: Array, losses: Array | None, orders: Orders | None = None, **draws: Any
    ) -> Array:
        """Sum the rows' coefficients after all corrections; moves the averages."""
        if orders is None:
            orders = draw_orders(self.num_tasks, self.seed, self.draws)
            self.draws += 1
        places = np.ix_(active, active)
        average = self.rho.numpy()[places]
        coefficients = np.eye(len(gramian))
        for visited in active_orders(orders, active).T:  # every task's next visit at once
            self._visit(gramian, coefficients, average, visited)
        rho = self.rho.clone()
        rho.numpy()[places] = average
        self.rho = rho
        found: Array = coefficients.sum(axis=0)
        return found

    def _visit(self, gramian: Array, coefficients: Array, average: Array, visited: Array) -> None:
        """Let each row meet one other: correct its coefficients, then move the pair's average; both in place."""
        rows = np.arange(len(gramian))
        products = coefficients @ gramian
        squares = (coefficients * products).sum(axis=1)
        there = squares > 1e-12 * np.diag(gramian)
        norms, others = np.sqrt(np.where(there, squares, 1.0)), np.sqrt(np.diag(gramian)[visited])
        cosines = np.clip(products[rows, visited] / guarded(norms * others), -1.0, 1.0)
        target = np.clip(average[rows, visited], -CLOSEST, CLOSEST)
        sine = np.sqrt(1.0 - target**2)
        change = norms * (target * np.sqrt(1.0 - cosines**2) - cosines * sine) / guarded(others * sine)
        coefficients[rows, visited] += np.where(there & (cosines < average[rows, visited]), change, 0.0)
        moved = (1.0 - self.beta) * average[rows, visited] + self.beta * cosines
        average[rows, visited] = np.where(there, moved, average[rows, visited])
