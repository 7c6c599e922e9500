"""Alpha-fair division of the update between tasks."""

from typing import Annotated, Any

from pydantic import Field

from hf_mtl.balancing.aggregator import Scope, register
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.solvers import Array, alpha_fair_weights


@register("fairgrad")
class FairGrad(GramianAggregator):
    """Weights w > 0 with G w = w^(-1/alpha), which maximise the alpha-fair utility of the tasks' gains.

    Source: Ban, Ji, ICML 2024, arXiv:2402.15638. alpha = 1 has Nash-MTL's direction; larger alpha favours the task
    that gains least. Gradients scaled by s scale the result by s^((1-alpha)/(1+alpha)). Solved to 1e-12 by damped
    Newton; the published least squares can stop early. Their code multiplies by the number of tasks afterwards;
    this does not.

    Needs G. Cost: G, and one small Newton solve. Scale: own.

    Args:
        num_tasks: Number of tasks T.
        alpha: Fairness, 0.05 or more: below, powers of the norms leave the range of numbers.
        scope: Parameters whose gradients decide.

    Shape:
        J [T, P] -> [P]; weights positive.
    """

    source = "arXiv:2402.15638"
    other_names = ("fair_resource_allocation",)
    scale = "own"
    degree = -1 / 3  # of the default alpha
    cost = "Gramian"

    def __init__(self, num_tasks: int, alpha: Annotated[float, Field(ge=0.05)] = 2.0, scope: Scope = "all"):
        super().__init__(num_tasks, scope)
        self.alpha = alpha
        self.degree = (1 - alpha) / (1 + alpha)

    def solve(self, gramian: Array, active: Array, losses: Array | None, **draws: Any) -> Array:
        """Return the root of G w = w^(-1/alpha)."""
        return alpha_fair_weights(gramian, self.alpha)
