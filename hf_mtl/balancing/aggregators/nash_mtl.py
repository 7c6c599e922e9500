"""The Nash bargaining solution between tasks."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_mtl.balancing.aggregator import Scope, register
from hf_mtl.balancing.checks import FromOne, NotNegative
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.preferences import GivenPreferences, Preferences
from hf_mtl.balancing.solvers import Array, alpha_fair_weights


@register("nash_mtl")
class NashMTL(GramianAggregator):
    """Weights w > 0 with w_t (G w)_t = 1: every task gains the same proportion.

    Source: Navon et al., ICML 2022, arXiv:2202.01017. Unaffected by the scale of any task's loss; the result has
    norm sqrt(m) in a step that solves, whatever the gradients' norms, so the learning rate needs its own choice.
    Solved to 1e-12 by damped Newton; the published sequence of convex programs can stop early. Where gradients
    cancel exactly there is no solution: weights are large and finite, the result small.

    Needs G. Cost: G, and one small Newton solve. Scale: own.

    Args:
        num_tasks: Number of tasks T.
        max_norm: Bound on the norm of the result. 0: none.
        every: Solve every that many steps and reuse the weights between. A task that had no gradient at the last
            solve brings the next one forward. Between, G serves ``max_norm`` alone.
        preferences: A positive bargaining power for each task: w_t (G w)_t is proportional to it, with a mean of 1.
            None: all alike.
        scope: Parameters whose gradients decide.

    Shape:
        J [T, P] -> [P]; weights positive.
    """

    source = "arXiv:2202.01017"
    other_names = ("nash_bargaining",)
    scale = "own"
    degree = 0.0
    cost = "Gramian"
    remembers = ("carried", "age")

    def __init__(
        self,
        num_tasks: int,
        max_norm: NotNegative = 0.0,
        every: FromOne = 1,
        preferences: GivenPreferences = None,
        scope: Scope = "all",
    ):
        super().__init__(num_tasks, scope)
        self.preferences = Preferences(preferences, num_tasks)
        self.max_norm = max_norm
        self.every = every
        self.carried: Tensor = torch.zeros(num_tasks, dtype=torch.float64)  # 0: not in the last solve
        self.age = 0

    def solve(self, gramian: Array, active: Array, losses: Array | None, **draws: Any) -> Array:
        """Return the bargaining solution, or the one carried."""
        carried = self.carried.numpy()
        if self.age % self.every == 0 or not carried[active].all():
            carried = np.zeros(self.num_tasks)  # a weight from an older solve belongs to other rows
            carried[active] = alpha_fair_weights(gramian, alpha=1.0, powers=self.preferences.of(active))
            self.carried, self.age = torch.from_numpy(carried), 0
        self.age += 1
        weights = carried[active]
        norm = np.sqrt(max(weights @ gramian @ weights, 0.0))
        found: Array = weights * (self.max_norm / norm) if 0 < self.max_norm < norm else weights
        return found
