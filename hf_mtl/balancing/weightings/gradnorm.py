"""GradNorm."""

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from hf_mtl.balancing.base import LossWeighting, Need, register, seen_tasks, task_values
from hf_mtl.balancing.checks import Positive

_REFERENCE_STEPS = 20
_MIN_WEIGHT = 1e-3
_FLOOR = 1e-8


@register("gradnorm")
class GradNorm(LossWeighting):
    """Learn weights that give tasks gradients of a common size, larger for tasks that train slowly.

    G_t = w_t ||g_t||; its target is mean(G) (rho_t / mean(rho))^alpha with rho_t = L_t / L_t(0), a constant. One step
    of gradient descent on sum |G_t - target_t|: w_t <- max(w_t - lr sign(G_t - target_t) ||g_t||, 1e-3), then the
    weights are brought to the sum T.

    Source: Chen et al., ICML 2018, arXiv:1711.02257. Departs from it in L(0), the mean of a task's first 20 losses
    (or ``observe(initial_losses=)``, such as log C), until when its weight does not learn. An absent task enters the
    means with its last norm and loss; its weight takes part only in the common rescaling.

    Needs ``norms`` after the forward with the same step's losses; weights count from the next step on. Costs
    per-task gradients of the scope in every step. State: w, L(0) and how many losses are in it, the last losses and
    norms.

    Args:
        alpha: Strength of the pull towards common training rates, 0 to 3.
        lr: Learning rate of the weights.
        scope: Shared parameters whose gradient is measured: ``last_layer`` the encoder's last layer, ``adapters``,
            or ``all``.
        num_tasks: Number of tasks T.
        weight_sum: Rescale the weights to this sum. None: T.

    Shape:
        losses [T], norms [T] -> weights [T], summing to T.
    """

    source: ClassVar[str] = "arXiv:1711.02257"
    other_names = ("gradient_normalization",)
    needs: ClassVar[frozenset[Need]] = frozenset({"norms"})
    cost: ClassVar[str] = "per-task gradients of the scope in every step"
    sums_to = "T"
    w: Tensor
    reference: Tensor
    count: Tensor
    losses: Tensor
    norms: Tensor
    known: Tensor

    def __init__(
        self,
        num_tasks: int,
        alpha: Annotated[float, Field(ge=0, le=3)] = 1.5,
        lr: Positive = 0.025,
        scope: Literal["last_layer", "adapters", "all"] = "last_layer",
        weight_sum: Positive | None = None,
    ):
        super().__init__(num_tasks, weight_sum)
        self.alpha = alpha
        self.lr = lr
        self.scope = scope
        self.register_buffer("w", torch.ones(num_tasks, dtype=torch.float64))
        self.register_buffer("count", torch.zeros(num_tasks, dtype=torch.int64))
        for name in ("reference", "losses", "norms"):
            self.register_buffer(name, torch.zeros(num_tasks, dtype=torch.float64))
        self.register_buffer("known", torch.zeros(num_tasks, dtype=torch.bool))

    def coefficients(self) -> Tensor:
        """Return w, [T]."""
        return self.w

    def needs_now(self) -> frozenset[Need]:
        """Return the norms, once a task has its L(0)."""
        return self.needs if bool(self._ready().any()) else frozenset()

    def record(self, losses: Tensor, seen: Tensor) -> None:
        """Take the losses."""
        gather = seen & ~self._ready()
        mean = self.reference + (losses - self.reference) / (self.count + 1)
        self.reference = torch.where(gather, mean, self.reference)
        self.count = self.count + gather
        self.losses = torch.where(seen, losses.clamp(min=0), self.losses)

    @torch.no_grad()
    def observe(self, **facts: Any) -> None:
        """Take ``norms=`` [T] of unweighted gradients, 0 or not ``present=`` if absent; ``initial_losses=``."""
        if facts.get("initial_losses") is not None:
            self.reference = task_values(facts["initial_losses"], self.w, "initial_losses")
            self.count = torch.full_like(self.count, _REFERENCE_STEPS)
        if facts.get("norms") is not None:
            norms = task_values(facts["norms"], self.w, "norms")
            seen = seen_tasks(facts.get("present"), norms)
            self.norms = torch.where(seen, norms, self.norms)
            self.known = self.known | seen
            self._learn(seen & self._ready())

    def targets(self, w: Tensor) -> Tensor:
        """Return what the norms of the weighted gradients should be, by the last norms and losses; constants [T].

        Args:
            w: Weights [T].
        """
        used = self._used()
        rates = self.losses / self.reference.clamp(min=_FLOOR)
        mean_norm, mean_rate = (w.detach() * self.norms)[used].mean(), rates[used].mean()
        return mean_norm * (rates / mean_rate.clamp(min=torch.finfo(torch.float64).tiny)) ** self.alpha

    def objective(self, w: Tensor) -> Tensor:
        """Sum |w_t ||g_t|| - target_t| over the tasks that have a norm and an L(0), [], differentiable in w [T]."""
        return (w * self.norms - self.targets(w))[self._used()].abs().sum()

    def _ready(self) -> Tensor:
        return self.count >= _REFERENCE_STEPS

    def _used(self) -> Tensor:
        return self.known & self._ready()

    def _learn(self, due: Tensor) -> None:
        """Move the weights of some tasks by one step."""
        if not bool(due.any()):
            return
        with torch.enable_grad():
            w = self.w.detach().clone().requires_grad_()
            (slope,) = torch.autograd.grad(self.objective(w), w)
        moved = (self.w - self.lr * slope).clamp(min=_MIN_WEIGHT)
        w = torch.where(due, moved, self.w)
        self.w = w * (self.num_tasks / w.sum())
        self._last_weights = None
