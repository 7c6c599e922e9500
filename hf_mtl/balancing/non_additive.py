"""Weightings whose scalar is no sum over tasks."""

import warnings
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from hf_mtl.balancing.base import LossWeighting, Need
from hf_mtl.balancing.checks import Positive
from hf_mtl.data.processes import is_main_process


class NonAdditive(LossWeighting, ABC):
    """A weighting whose scalar is of the present tasks alone; each counts once, whatever its exposure.

    ``weights()`` are the derivative of the scalar by the losses, 0 for absent tasks; before the first step those
    of losses of 1. With one task present the scalar is that task's loss up to a factor or a monotone function, and
    balances nothing: said once.

    Args:
        num_tasks: Number of tasks T.
        weight_sum: Rescale the derivative over the present tasks to this sum. None: the method's own scale.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"losses"})
    additive: ClassVar[bool] = False

    def __init__(self, num_tasks: int, weight_sum: Positive | None = None):
        super().__init__(num_tasks, weight_sum)
        self._warned = False

    @abstractmethod
    def combine(self, losses: Tensor, tasks: Tensor) -> Tensor:
        """Return the scalar of some tasks.

        Args:
            losses: Their losses, float64 [m].
            tasks: Their indices [m].
        """

    def coefficients(self) -> Tensor:
        """Return the derivative where every loss is 1, [T]."""
        device = next((tensor.device for tensor in self.buffers()), None)
        tasks = torch.arange(self.num_tasks, device=device)
        return self._derivative(torch.ones(self.num_tasks, dtype=torch.float64, device=device), tasks)

    def _derivative(self, losses: Tensor, tasks: Tensor) -> Tensor:
        with torch.enable_grad():  # coefficients are also asked for where no graph is made
            point = losses.detach().requires_grad_()
            return torch.autograd.grad(self.combine(point, tasks), point)[0]

    def _evaluate(self, losses: Tensor, present: Tensor, exposure: Tensor) -> tuple[Tensor, Tensor]:
        tasks = present.nonzero().flatten()
        weights = torch.zeros(self.num_tasks, dtype=torch.float64, device=losses.device)
        if len(tasks) == 0:
            return torch.where(present, losses, 0.0).sum(), weights
        if len(tasks) == 1 < self.num_tasks:
            self._warn()
        mine = losses[tasks].double()
        weights[tasks] = self._derivative(mine, tasks)
        factor = self._factor(weights)
        return (self.combine(mine, tasks) * factor).to(losses.dtype), weights * factor

    def _warn(self) -> None:
        if not self._warned and is_main_process():
            self._warned = True
            warnings.warn(
                f"the weighting '{type(self).name}' balances only the tasks of one step, and a step (a micro-batch, "
                "if exact_accumulation is false) holds one task: use more rows per step, or an additive method such "
                "as 'uw' or 'dwa'",
                stacklevel=2,
            )
