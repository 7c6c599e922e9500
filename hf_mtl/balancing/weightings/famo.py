"""Fast adaptive multitask optimization."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from hf_mtl.balancing.base import Need, register, task_values
from hf_mtl.balancing.checks import NotNegative, Positive
from hf_mtl.balancing.non_additive import NonAdditive

_EPS = 1e-8
_BETAS = (0.9, 0.999)


@register("famo")
class FAMO(NonAdditive):
    """Let all losses fall at the same relative rate: minimise c sum z_t log D_t over the present tasks.

    z = softmax(logits), D = L + 1e-8, c = 1 / sum(z / D), with z and c as constants: the effective weights are
    c z_t / D_t, of sum 1. After the model's update, with delta = log D before - log D after, the logits take one Adam
    step along the softmax' Jacobian transposed times delta, plus gamma times the logits.

    Source: Liu et al., NeurIPS 2023, arXiv:2306.03792; losses have the lower bound 0. Departs from it on partial
    steps: softmax, delta and Adam's moments are those of the present tasks, and an absent task's logit stays.

    Needs this step's losses before the backward, and ``losses_after`` of the same rows after the update with the
    same dropout. Costs one forward without graph; with ``reuse_next_batch`` nothing. State: logits, Adam's moments
    and step counts, log D of the last step.

    Args:
        gamma: Decay of the logits; 1e-3 in LibMTL and TorchJD, 1e-2 in the authors' code.
        lr: Learning rate of the logits.
        reuse_next_batch: Take the next step's losses for the losses after the update: no further forward, but
            another batch, whose noise the logits then follow.
        num_tasks: Number of tasks T.
        weight_sum: Rescale the effective weights to this sum. None: 1.

    Shape:
        losses [T], non-negative; losses_after [T] -> effective weights [T], summing to 1, 0 for absent tasks.
    """

    source: ClassVar[str] = "arXiv:2306.03792"
    other_names = ("fast_adaptive_multitask_optimization",)
    needs: ClassVar[frozenset[Need]] = frozenset({"losses", "losses_after"})
    cost: ClassVar[str] = "a forward after each step (not with reuse_next_batch); with accumulation one for losses"
    sums_to = "1"
    logits: Tensor
    first: Tensor
    second: Tensor
    updates: Tensor
    log_before: Tensor
    waiting: Tensor

    def __init__(
        self,
        num_tasks: int,
        gamma: NotNegative = 1e-3,
        lr: Positive = 0.025,
        reuse_next_batch: bool = False,
        weight_sum: Positive | None = None,
    ):
        super().__init__(num_tasks, weight_sum)
        self.gamma = gamma
        self.lr = lr
        self.reuse_next_batch = reuse_next_batch
        for name in ("logits", "first", "second", "updates", "log_before"):
            self.register_buffer(name, torch.zeros(num_tasks, dtype=torch.float64))
        # Tasks whose losses before the update are known and those after it are not yet.
        self.register_buffer("waiting", torch.zeros(num_tasks, dtype=torch.bool))

    def needs_now(self) -> frozenset[Need]:
        """Leave out ``losses_after`` where the next batch stands in for it."""
        return frozenset({"losses"}) if self.reuse_next_batch else self.needs

    def combine(self, losses: Tensor, tasks: Tensor) -> Tensor:
        """Compute c sum z log D, [m] -> []."""
        z = torch.softmax(self.logits[tasks], dim=0)
        distances = losses.clamp(min=0) + _EPS
        c = 1.0 / (z / distances.detach()).sum()
        return c * (z * torch.log(distances)).sum()

    def _evaluate(self, losses: Tensor, present: Tensor, exposure: Tensor) -> tuple[Tensor, Tensor]:
        """Use the logits that these losses teach, if ``reuse_next_batch``; `record` keeps them."""
        kept = self.logits
        if self.reuse_next_batch:
            self.logits = self._taught(losses.detach().double(), present)["logits"]
        try:
            return super()._evaluate(losses, present, exposure)
        finally:
            self.logits = kept

    def record(self, losses: Tensor, seen: Tensor) -> None:
        """Keep log D before the update; with ``reuse_next_batch`` learn from these losses first."""
        if self.reuse_next_batch:
            self._learn(losses, seen)
        self.log_before = torch.where(seen, torch.log(losses.clamp(min=0) + _EPS), self.log_before)
        self.waiting = seen.clone()

    def observe(self, **facts: Any) -> None:
        """Take ``losses_after=`` [T], the losses of the same rows after the model's update, and learn from them."""
        if facts.get("losses_after") is not None:
            after = task_values(facts["losses_after"], self.logits, "losses_after")
            self._learn(after, torch.ones_like(self.waiting))

    @torch.no_grad()
    def _learn(self, losses: Tensor, present: Tensor) -> None:
        for name, value in self._taught(losses, present).items():
            setattr(self, name, value)
        self.waiting = torch.zeros_like(self.waiting)

    @torch.no_grad()
    def _taught(self, losses: Tensor, present: Tensor) -> dict[str, Tensor]:
        """Return logits and moments after a step of the tasks whose losses before and after it are known."""
        tasks = (self.waiting & present & torch.isfinite(losses)).nonzero().flatten()
        logits = self.logits[tasks]
        z = torch.softmax(logits, dim=0)
        delta = self.log_before[tasks] - torch.log(losses[tasks].clamp(min=0) + _EPS)
        return self._adam(tasks, z * (delta - (z * delta).sum()) + self.gamma * logits)

    def _adam(self, tasks: Tensor, gradient: Tensor) -> dict[str, Tensor]:
        """Return logits, moments and counts after a step of some tasks."""
        new = {name: getattr(self, name).clone() for name in ("logits", "first", "second", "updates")}
        new["updates"][tasks] += 1
        corrected = []
        for name, power, beta in (("first", 1, _BETAS[0]), ("second", 2, _BETAS[1])):
            new[name][tasks] = beta * new[name][tasks] + (1 - beta) * gradient**power
            corrected.append(new[name][tasks] / (1 - beta ** new["updates"][tasks]))
        new["logits"][tasks] -= self.lr * corrected[0] / (corrected[1].sqrt() + 1e-8)
        return new
