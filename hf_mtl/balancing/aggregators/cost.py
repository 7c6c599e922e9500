"""Notice when the tasks conflict, so that a loss-equivalent point with less conflict can be sought."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_mtl.balancing.aggregator import AGGREGATORS, Remembered, Scale, Scope, as_array, base_names, register
from hf_mtl.balancing.checks import FromOne, FromZero, all_shared
from hf_mtl.balancing.inner_products import gramian
from hf_mtl.balancing.needs import Conflict, Teleporting
from hf_mtl.balancing.solvers import Array
from hf_mtl.errors import Mistake, UserError, known


@register("cost")
class COST(Teleporting):
    """Experimental. A base aggregator that also says when to leave a conflicted point, and how to weigh the tasks.

    Source: Zhou et al., "Continual Optimization with Symmetry Teleportation", arXiv:2503.04046, after its code
    (zzpustc/COST: methods/weight_methods.py). On a trigger, after ``start_epoch`` and at most once per epoch, the
    method trains a low-rank adapter for two passes over the data towards a point of equal losses and greater
    sharpness, merges it, and decides what of the optimizer's state survives. That phase is training and no part of
    this class (see
    `hf_mtl.training.step.teleportation`): it is declared by the need ``adapter_training``. The class holds
    what is mathematics: `conflict` and `due`; a call returns the base's direction.

    Needs the base's needs, the rows and that phase. Cost: T x P memory for the rows; about two epochs per trigger.
    Scale: the base's.

    Args:
        num_tasks: Number of tasks T.
        base: The aggregator of ordinary steps, with its default options. It needs rows, or rows and losses, alone.
        rank: Rank of the adapter.
        start_epoch: First epoch in which a trigger counts, from 0.
        scope: Must be ``all``: the conflict is between the gradients of what the search moves.

    Shape:
        J [T, P] -> [P].

    Raises:
        UserError: If the base or the scope does not suit it.
    """

    source = "arXiv:2503.04046"
    other_names = ("symmetry_teleportation",)
    scale: Scale = "the base's"
    needs = frozenset({"jacobian", "adapter_training"})
    cost = "experimental; T x P memory, about two epochs per trigger"
    remembers = ("searched_epoch",)

    def __init__(
        self, num_tasks: int, base: str = "mean", rank: FromOne = 5, start_epoch: FromZero = 1, scope: Scope = "all"
    ):
        super().__init__(num_tasks, scope)
        all_shared(scope, "'cost' moves all shared parameters")
        self.rank = rank
        self.start_epoch = start_epoch
        names = base_names({"gramian", "jacobian", "losses"})
        if base not in names:
            raise UserError(Mistake("base", f"unknown base '{base}'", known(names, base)))
        self.base = AGGREGATORS[base](num_tasks)
        self.needs = self.needs | self.base.needs
        self.scale, self.degree = self.base.scale, self.base.degree
        self.searched_epoch = -1
        self._told_left_out = True  # the base says it

    def observe(self, **facts: Any) -> None:
        """Hand over to the base."""
        super().observe(**facts)
        self.base.observe(**facts)

    def weights(self) -> Tensor | None:
        """Return the base's weights."""
        return self.base.weights()

    def conflict(self, gramian: Tensor) -> Conflict:
        """Tell whether the rows conflict, from G [T, T].

        Raises:
            NonFiniteRows: If a row is not finite.
        """
        products = as_array(gramian)
        active, _ = self._active(np.sqrt(np.maximum(np.diag(products), 0.0)), None, None)
        cosines, weights = np.zeros(self.num_tasks), np.zeros(self.num_tasks)
        if len(active):
            block = products[np.ix_(active, active)]
            norms = np.sqrt(np.diag(block))
            cosines[active] = _cosines_to_mean(block, norms)
            weights[active] = len(active) * (1.0 - norms / norms.sum())
        triggered = bool(len(active) and cosines[active].min() <= 0.0)
        return Conflict(torch.from_numpy(cosines), torch.from_numpy(weights), triggered)

    def due(self, epoch: int) -> bool:
        """Tell whether to search now: the last step conflicted, in an epoch that counts and had no search yet.

        Answering yes uses the epoch up.
        """
        wanted = self.last is not None and self.last.triggered and epoch >= self.start_epoch
        if not wanted or epoch <= self.searched_epoch:
            return False
        self.searched_epoch = epoch
        return True

    def __call__(
        self,
        jacobian: Tensor,
        losses: Tensor | None = None,
        present: Tensor | None = None,
        coefficients: Tensor | None = None,
        **draws: Any,
    ) -> Tensor:
        """Return the base's direction; notes the conflict for `due`."""
        self.check_shape(jacobian)
        self.last = self.conflict(gramian(jacobian))
        return self.base(jacobian, losses, present, coefficients, **draws)

    def state_dict(self) -> Remembered:
        """Return the epoch searched last, and the base's state under ``base.``."""
        base = {f"base.{name}": value for name, value in self.base.state_dict().items()}
        return {**super().state_dict(), **base}

    def load_state_dict(self, state: Remembered) -> None:
        """Restore both; see `GradientAggregator`."""
        own = {name: value for name, value in state.items() if not name.startswith("base.")}
        super().load_state_dict(own)
        self.base.load_state_dict({name[len("base.") :]: value for name, value in state.items() if name not in own})


def _cosines_to_mean(gramian: Array, norms: Array) -> Array:
    """Return the cosine of each row with the rows' mean, [m]; 0 where the mean vanishes."""
    mean = np.sqrt(max(gramian.mean(), 0.0))
    if mean <= 1e-10 * norms.max():
        return np.zeros(len(norms))
    found: Array = gramian.mean(axis=1) / (mean * norms)
    return found
