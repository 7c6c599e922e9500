"""The signed sum of unit task gradients."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_mtl.balancing.aggregator import Scope, register
from hf_mtl.balancing.checks import one_for_each
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.solvers import Array
from hf_mtl.errors import Mistake, UserError
from hf_mtl.plain import describe, made_plain


@register("ngdiff")
class NGDiff(GramianAggregator):
    """Add unit gradients, those of tasks to be unlearned with a minus.

    Source: Bu et al., "Unlearning as multi-task optimization", arXiv:2410.22086: retain minus forget,
    g_R/|g_R| - g_F/|g_F|. Any number of tasks of either sign is allowed here; the paper's automatic learning rate
    is not part of it. A single active row keeps its length and its sign: a task to be unlearned is never learned.

    Needs G (its diagonal). Cost: G. Scale: own; the result's length does not depend on the gradients'.

    Args:
        num_tasks: Number of tasks T.
        signs: 1 (minimise) or -1 (maximise) for each task, in task order (a recipe names the tasks).
        scope: Parameters whose gradients decide.

    Shape:
        J [T, P] -> [P]; weights sign / norm.

    Raises:
        UserError: If there is not one sign for each task, or one is neither 1 nor -1.
    """

    source = "arXiv:2410.22086"
    other_names = ("normalized_gradient_difference",)
    scale = "own"
    degree = 0.0
    cost = "Gramian (its diagonal)"

    def __init__(self, num_tasks: int, signs: Sequence[float] | dict[str, float], scope: Scope = "all"):
        super().__init__(num_tasks, scope)
        given = one_for_each(signs, num_tasks, "signs")
        if any(sign not in (1, -1) for sign in given):
            raise UserError(Mistake("signs", f"found {describe(made_plain(signs))}", "Allowed: 1 or -1."))
        self.signs = np.array(given, dtype=np.float64)

    def single(self, task: int) -> float:
        """Return the task's sign."""
        return float(self.signs[task])

    def solve(self, gramian: Array, active: Array, losses: Array | None, **draws: Any) -> Array:
        """Return sign / norm of each row."""
        found: Array = self.signs[active] / np.sqrt(np.diag(gramian))
        return found
