"""Smooth Tchebycheff scalarization."""

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from hf_mtl.balancing.base import register, task_values
from hf_mtl.balancing.checks import FromZero, Positive
from hf_mtl.balancing.last_losses import FLOOR
from hf_mtl.balancing.non_additive import NonAdditive
from hf_mtl.balancing.step_count import CountsEpochs
from hf_mtl.signatures import OnlyWith

_EPS = 1e-20


@register("stch")
class STCH(NonAdditive, CountsEpochs):
    """Minimise a smooth maximum of the m present losses.

    ``plain``: mu log sum exp(lambda_t (L_t - z_t) / mu) with preferences lambda and ideal losses z.
    ``log_nadir``: m mu log sum exp(f_t / mu) with f_t = log(L_t / N_t + 1e-20). During ``warmup_epochs`` the sum of
    log max(L_t, 1e-8) instead, and in one more epoch, whose mean losses become N.

    Source: Lin et al., ICML 2024, arXiv:2402.19078; ``log_nadir`` as in the authors' code for neural networks
    (Xi-L/STCH). On a partial step the method is that of the present tasks alone: m is their number. A task without
    rows in the epoch of N takes its next loss for it.

    Needs this step's losses before the backward; costs nothing with one micro-batch. State: the step, N with its sums
    and counts; ``plain`` has none.

    Args:
        variant: ``log_nadir`` or ``plain``.
        mu: Smoothness; smaller is closer to the worst task alone.
        warmup_epochs: Epochs before N is taken, of ``observe(steps_per_epoch=)`` steps; for ``log_nadir``.
        num_tasks: Number of tasks T.
        weight_sum: Rescale the effective weights to this sum. None: the method's own scale.

    Shape:
        losses [T], non-negative -> effective weights [T], 0 for absent tasks.
    """

    only_with: ClassVar[OnlyWith] = {"warmup_epochs": ("variant", ("log_nadir",))}
    source: ClassVar[str] = "arXiv:2402.19078"
    other_names = ("smooth_tchebycheff", "smooth_chebyshev", "tchebycheff_scalarization")
    cost: ClassVar[str] = "nothing with one micro-batch; else a forward for the losses"
    until_then = "all of it minimises the sum of log losses, and mu has no effect. Lower warmup_epochs"
    preference: Tensor
    ideal: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(
        self,
        num_tasks: int,
        variant: Literal["log_nadir", "plain"] = "log_nadir",
        mu: Positive = 1.0,
        warmup_epochs: FromZero = 4,
        weight_sum: Positive | None = None,
    ):
        super().__init__(num_tasks, weight_sum)
        self.variant = variant
        self.mu = mu
        self.warmup_epochs = warmup_epochs
        equal = torch.full((num_tasks,), 1.0 / num_tasks, dtype=torch.float64)
        self.register_buffer("preference", equal, persistent=False)
        self.register_buffer("ideal", torch.zeros(num_tasks, dtype=torch.float64), persistent=False)
        self.register_buffer("sums", torch.zeros(num_tasks, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(num_tasks, dtype=torch.int64))

    def observe(self, **facts: Any) -> None:
        """Take what `CountsEpochs` takes; for ``plain`` also ``preference=`` (1/T) and ``ideal=`` (0), [T]."""
        super().observe(**facts)
        for name in ("preference", "ideal"):
            if facts.get(name) is not None:
                setattr(self, name, task_values(facts[name], self.ideal, name))
                self._last_weights = None

    def combine(self, losses: Tensor, tasks: Tensor) -> Tensor:
        """Return the smooth maximum, or the warm-up's sum of logarithms, [m] -> []."""
        if self.variant == "plain":
            distances = self.preference[tasks] * (losses - self.ideal[tasks])
            return self.mu * torch.logsumexp(distances / self.mu, dim=0)
        if self._epochs_done() < self.warmup_epochs + 1:
            return torch.log(torch.where(losses > FLOOR, losses, FLOOR)).sum()
        counts = self.counts[tasks]
        nadir = torch.where(counts > 0, self.sums[tasks] / counts.clamp(min=1), losses.detach()).clamp(min=FLOOR)
        logs = torch.log(losses.clamp(min=0) / nadir + _EPS)
        return len(tasks) * self.mu * torch.logsumexp(logs / self.mu, dim=0)

    def record(self, losses: Tensor, seen: Tensor) -> None:
        """Count the step, and take its losses into N where it is time."""
        if self.variant == "plain":
            return
        done = self._epochs_done()
        late = (self.counts == 0) if done >= self.warmup_epochs + 1 else torch.ones_like(seen)
        if done >= self.warmup_epochs:
            take = seen & late
            self.sums = self.sums + torch.where(take, losses, 0.0)
            self.counts = self.counts + take
        super().record(losses, seen)
        if self.epoch is None:
            self._say_unknown_epoch("its warm-up does not end: observe(steps_per_epoch=)")

    def warm_up(self) -> int | None:
        """Return the epochs of the warm-up and the one of N; none for ``plain``."""
        if self.variant == "plain":
            return 0
        return None if self.epoch is None else (self.warmup_epochs + 1) * self.epoch

    def _epochs_done(self) -> float:
        return -math.inf if self.epoch is None else self.steps // self.epoch
