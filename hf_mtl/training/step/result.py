"""The result of one optimizer step, as all who watch it get it."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

_TENSORS = ("losses", "counts", "masses", "weights", "coefficients", "factors", "unweighted", "votes")


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
        unweighted: c_t without w_t, so exposure and coefficient, [T]; 0 where absent.
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

    @cached_property
    def on_host(self) -> "StepResult":
        """The same step with all tensors on the host.

        Whoever asks first waits for the device, and nobody does after that.
        """
        if self.losses.device.type == "cpu":
            return self
        parts = [getattr(self, name).reshape(-1) for name in _TENSORS] + [
            value.reshape(-1) for value in self.penalties.values()
        ]
        moved = torch.cat([part.detach().double() for part in parts]).cpu().split([len(part) for part in parts])
        named = dict(zip(_TENSORS, moved, strict=False))
        penalties = [value.reshape(()) for value in moved[len(_TENSORS) :]]
        return StepResult(
            **{**named, "votes": named["votes"].reshape(())},
            penalties=dict(zip(self.penalties, penalties, strict=True)),
        )

    @property
    def present(self) -> Tensor:
        """Tell which tasks have a loss in the step, bool [T]."""
        return self.masses > 0
