"""Fast adaptive multitask optimization."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from hf_mtl.balancing.base import Need, positive, register, task_values
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

    Raises:
        ValueError: If ``gamma`` is negative or ``lr`` not positive.

    Shape:
        losses [T], non-negative; losses_after [T] -> effective weights [T], summing to 1, 0 for absent tasks.
    """

    source: ClassVar[str] = "arXiv:2306.03792"
    needs: ClassVar[frozenset[Need]] = frozenset({"losses", "losses_after"})
    cost: ClassVar[str] = "a forward after each step (not with reuse_next_batch); with accumulation one for losses"
    logits: Tensor
    first: Tensor
    second: Tensor
    updates: Tensor
    log_before: Tensor
    waiting: Tensor

    def __init__(
        self,
        num_tasks: int,
        gamma: float = 1e-3,
        lr: float = 0.025,
        reuse_next_batch: bool = False,
        weight_sum: float | None = None,
    ):
        super().__init__(num_tasks, weight_sum)
        if gamma < 0:
            raise ValueError(f"gamma is {gamma}; needs 0 or more")
        self.gamma = gamma
        self.lr = positive(lr, "lr")
        self.reuse_next_batch = reuse_next_batch
        for name in ("logits", "first", "second", "updates", "log_before"):
            self.register_buffer(name, torch.zeros(num_tasks, dtype=torch.float64))
        # Tasks whose losses before the update are known and those after it are not yet.
        self.register_buffer("waiting", torch.zeros(num_tasks, dtype=torch.bool))

    def needs_now(self) -> frozenset[Need]:
        """Without ``losses_after`` where the next batch stands in for it."""
        return frozenset({"losses"}) if self.reuse_next_batch else self.needs

    def combine(self, losses: Tensor, tasks: Tensor) -> Tensor:
        """c sum z log D, [m] -> []."""
        z = torch.softmax(self.logits[tasks], dim=0)
        distances = losses.clamp(min=0) + _EPS
        c = 1.0 / (z / distances.detach()).sum()
        return c * (z * torch.log(distances)).sum()

    def forward(self, losses: Tensor, present: Tensor | None = None, exposure: Tensor | None = None) -> Tensor:
        """The scalar to minimise, see `LossWeighting.forward`; with ``reuse_next_batch`` the logits learn first."""
        if self.reuse_next_batch:
            self._learn(losses.detach().double(), self._who(losses, present, exposure)[0])
        return super().forward(losses, present, exposure)

    def record(self, losses: Tensor, seen: Tensor) -> None:
        """Keep log D before the update."""
        self.log_before = torch.where(seen, torch.log(losses.clamp(min=0) + _EPS), self.log_before)
        self.waiting = seen.clone()

    def observe(self, **facts: Any) -> None:
        """Take ``losses_after=`` [T], the losses of the same rows after the model's update, and learn from them."""
        if facts.get("losses_after") is not None:
            after = task_values(facts["losses_after"], self.logits, "losses_after")
            self._learn(after, torch.ones_like(self.waiting))

    @torch.no_grad()
    def _learn(self, losses: Tensor, present: Tensor) -> None:
        """One Adam step of the logits of the tasks whose losses are known before and after."""
        tasks = (self.waiting & present & torch.isfinite(losses)).nonzero().flatten()
        self.waiting = torch.zeros_like(self.waiting)
        if len(tasks) == 0:
            return
        logits = self.logits[tasks]
        z = torch.softmax(logits, dim=0)
        delta = self.log_before[tasks] - torch.log(losses[tasks].clamp(min=0) + _EPS)
        gradient = z * (delta - (z * delta).sum()) + self.gamma * logits
        first, second, updates = self.first.clone(), self.second.clone(), self.updates.clone()
        updates[tasks] += 1
        first[tasks] = _BETAS[0] * first[tasks] + (1 - _BETAS[0]) * gradient
        second[tasks] = _BETAS[1] * second[tasks] + (1 - _BETAS[1]) * gradient**2
        corrected = [
            moment[tasks] / (1 - beta ** updates[tasks]) for moment, beta in zip((first, second), _BETAS, strict=True)
        ]
        moved = self.logits.clone()
        moved[tasks] = logits - self.lr * corrected[0] / (corrected[1].sqrt() + 1e-8)
        self.logits, self.first, self.second, self.updates = moved, first, second, updates
