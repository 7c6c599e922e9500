"""Keeps what the balancing methods have learned of the tasks that a step does not have."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hf_mtl.batch import to_device
from hf_mtl.training.step.objective import Objective


class AbsentTasks:
    """Holds the learned balancing parameters of absent tasks where they are.

    An absent task's parameter has gradient zero, but an optimizer with momentum would move it all the same, and let
    the momentum fade.

    Args:
        objective: The objective, whose last step says who was absent.
    """

    def __init__(self, objective: Objective):
        self.objective = objective
        self._before: list[tuple[Tensor, Tensor]] = []

    def before_update(self, optimizer: Optimizer | None) -> None:
        """Remember the parameters, and what the optimizer knows of them, where a task is absent."""
        self._before = []
        if not self.objective.absent.any():
            return
        held = [value for parameter in self._parameters() for value in _with_moments(parameter, optimizer)]
        self._before = [(value, value.detach().clone()) for value in held]

    @torch.no_grad()
    def after_update(self) -> None:
        """Put absent tasks back where they were."""
        for value, before in self._before:
            absent = to_device(self.objective.absent, value.device).view(-1, *[1] * (value.ndim - 1))
            value.copy_(torch.where(absent, before, value))

    def _parameters(self) -> list[nn.Parameter]:
        """Return the parameters that hold one value, or one row, per task."""
        tasks = len(self.objective.names)
        return [item for item in self.objective.weighting.parameters() if item.ndim and len(item) == tasks]


def _with_moments(parameter: nn.Parameter, optimizer: Optimizer | None) -> list[Tensor]:
    """Return a parameter, and what an optimizer keeps for each of its entries."""
    state = {} if optimizer is None else optimizer.state.get(parameter, {})
    return [parameter, *(item for item in state.values() if torch.is_tensor(item) and item.shape == parameter.shape)]
