"""The result of one optimizer step, as all who watch it get it."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor


@dataclass
class StepResult:
    """The losses and coefficients of one optimizer step, the same on every process.

    Args:
        losses: L_t of each task, [T]; 0 where absent.
        counts: n_t of each task, [T].
        masses: M_t of each task, [T].
        weights: Coefficients w_t of the weighting, [T].
        coefficients: Coefficients gamma_t of the schedules, [T].
        factors: c_t: the step's scalar has the gradient sum_t c_t (L_t + Q_t), [T]; 0 where absent.
        unweighted: c_t without w_t, so exposure and gamma, [T]; 0 where absent.
        penalties: Mean of each penalty over the mass of its task, by task and name, before its factor; 0 where
            absent.
        votes: How many processes want to stop after this step, a scalar tensor.
    """

    losses: Tensor
    counts: Tensor
    masses: Tensor
    weights: Tensor
    coefficients: Tensor
    factors: Tensor
    unweighted: Tensor
    penalties: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    votes: Tensor = field(default_factory=lambda: torch.zeros(()))

    @property
    def present(self) -> Tensor:
        """Tell which tasks have a loss in the step, bool [T]."""
        return self.masses > 0

    @cached_property
    def here(self) -> "StepResult":
        """The same on the host, in float64: a GPU is waited for once, however many want to know."""
        tasks = len(self.losses)
        per_task = [self.losses, self.counts, self.masses, self.weights]
        per_task += [self.coefficients, self.factors, self.unweighted]
        each = [*per_task, *(value[None] for value in self.penalties.values()), self.votes[None]]
        numbers = torch.cat([value.detach().double() for value in each]).cpu()
        *rows, rest = numbers.split([tasks] * len(per_task) + [len(self.penalties) + 1])
        found = StepResult(*rows)
        found.penalties, found.votes = dict(zip(self.penalties, rest, strict=False)), rest[-1]
        return found
