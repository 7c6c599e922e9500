"""Loss scaling by inverse gradient norms."""

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from hf_mtl.balancing.base import Need, register, seen_tasks, task_values
from hf_mtl.balancing.checks import FromOne, Positive, Share
from hf_mtl.balancing.step_count import CountsSteps


@register("gradnorm_scaling")
class GradNormScaling(CountsSteps):
    """Weight tasks by the inverse of their gradient's norm: w_t in proportion to (mean n / n_t)^kappa, summing to T.

    n_t is a running average of the norm of the unweighted task gradient, which starts at the first one observed; a
    task without one counts as average. A norm of next to nothing beside the others (1e-12) is not observed.

    Source: the idea of Guo et al., Revisit the Imbalance Optimization in Multi-task Learning, 2025, arXiv:2509.23915.
    The paper publishes no formula; this one is hf_mtl's. Inverse, since balance is the goal.

    Needs ``norms`` every so many steps, or as soon after as there are any, of unweighted losses; they count from
    the next step on if they come after its forward. Costs per-task gradients in these steps. State: n, which tasks
    have one, the step, whether a measurement is late.

    Args:
        kappa: Exponent, 0 to 2; 0 gives equal weights, 1 equal weighted norms.
        beta: Decay of the running average, per measurement.
        every: Optimizer steps from one measurement to the next.
        scope: Shared parameters whose gradient is measured: ``last_layer`` the encoder's last layer, ``adapters``,
            or ``all``.
        num_tasks: Number of tasks T.
        weight_sum: Rescale the weights to this sum. None: T.

    Shape:
        losses [T], norms [T] -> weights [T], summing to T.
    """

    source: ClassVar[str] = "arXiv:2509.23915"
    other_names = ("gradient_norm_scaling",)
    needs: ClassVar[frozenset[Need]] = frozenset({"norms"})
    cost: ClassVar[str] = "per-task gradients of the scope in one of `every` steps"
    sums_to = "T"
    norms: Tensor
    known: Tensor

    def __init__(
        self,
        num_tasks: int,
        kappa: Annotated[float, Field(ge=0, le=2)] = 1.0,
        beta: Share = 0.9,
        every: FromOne = 50,
        scope: Literal["last_layer", "adapters", "all"] = "last_layer",
        weight_sum: Positive | None = None,
    ):
        super().__init__(num_tasks, weight_sum)
        self.kappa = kappa
        self.beta = beta
        self.every = every
        self.scope = scope
        self.register_buffer("norms", torch.zeros(num_tasks, dtype=torch.float64))
        self.register_buffer("known", torch.zeros(num_tasks, dtype=torch.bool))
        self.late = False

    def needs_now(self) -> frozenset[Need]:
        """Return the norms, in the first step and every so many after it, until they come."""
        return self.needs if self.late or self.steps % self.every == 0 else frozenset()

    def record(self, losses: Tensor, seen: Tensor) -> None:
        """Count the step, whose norms are still to come where they are due."""
        self.late = self.late or self.steps % self.every == 0
        super().record(losses, seen)

    def get_extra_state(self) -> Tensor:
        """Return the count, and whether a measurement is late, int64 [2]."""
        return torch.tensor([self.steps, int(self.late)])

    def set_extra_state(self, state: Tensor) -> None:
        """Restore both."""
        self.steps, self.late = int(state[0]), bool(state[1])

    @torch.no_grad()
    def observe(self, **facts: Any) -> None:
        """Take ``norms=`` [T] of unweighted gradients, with ``present=`` or 0 for absent tasks."""
        if facts.get("norms") is None:
            return
        self.late = False
        norms = task_values(facts["norms"], self.norms, "norms")
        seen = seen_tasks(facts.get("present"), norms)
        seen = seen & (norms > 1e-12 * torch.where(seen, norms, 0.0).max())  # else one zero would take all the weight
        mixed = torch.where(self.known, self.beta * self.norms + (1 - self.beta) * norms, norms)
        self.norms = torch.where(seen, mixed, self.norms)
        self.known = self.known | seen
        self._last_weights = None

    def coefficients(self) -> Tensor:
        """Compute (mean n / n_t)^kappa, brought to the sum T, [T]."""
        mean = torch.where(self.known, self.norms, 0.0).sum() / self.known.sum().clamp(min=1)
        tiny = torch.finfo(torch.float64).tiny
        floor = (1e-12 * self.norms.max()).clamp(min=tiny)
        ratios = torch.where(self.known & (mean > 0), mean / self.norms.clamp(min=floor), 1.0)
        raw = ratios**self.kappa
        return self.num_tasks * raw / raw.sum()
