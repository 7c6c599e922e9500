"""Measurements of task gradients on a few rows."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_mtl.batch import divisor
from hf_mtl.data.learners.base import GradientLook
from hf_mtl.data.train_rows import TrainRows
from hf_mtl.modeling import MultiTaskModel, split_parameters
from hf_mtl.modeling.in_passing import in_passing
from hf_mtl.processes import Processes
from hf_mtl.schedules import Probe
from hf_mtl.training.step.flops import Flops

PROBE_ROWS = 16


def squared_norm(gradients: Iterable[Tensor | None]) -> float:
    """Squared norm of a gradient that comes in parts; a part that is None is zero."""
    return sum(float(part.detach().double().pow(2).sum()) for part in gradients if part is not None)


def fisher_trace(gradients: Iterable[Iterable[Tensor | None]]) -> float:
    """Empirical Fisher trace: the mean over single examples of the squared norm of their gradient.

    (The squared norm of the mean gradient, times the number of examples, would be a biased estimate of it.)

    Args:
        gradients: The gradient of each example's loss, in parts.
    """
    return float(np.mean([squared_norm(parts) for parts in gradients]))


class Prober:
    """Measures gradients of single tasks with respect to the shared parameters.

    In eval mode and float32, without a draw from any generator: training goes on as if nothing had been measured.
    Every process measures the same rows, and the mean over the processes makes their last bits agree.

    Args:
        model: The model.
        rows: The training rows, which it draws from.
        processes: This process among the others.
        flops: Counts the operations of every pass.
        size: Rows of a measurement; a task with fewer gives all it has.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        rows: TrainRows,
        processes: Processes,
        flops: Flops,
        size: int = PROBE_ROWS,
    ):
        self.model = model
        self.size = size
        self._rows = rows
        self._processes = processes
        self._flops = flops

    def measure(self, probe: Probe, tasks: Sequence[str], step: int) -> dict[str, float]:
        """Measure some tasks before a step, with everything trainable.

        Args:
            probe: ``gradient_norm``: norm of the gradient of the task's loss over the rows. ``fisher``:
                `fisher_trace` over the rows.
            tasks: The tasks.
            step: The step, which chooses the rows.

        Returns:
            One value per task; a task whose gradient is not finite has none.
        """
        # Not under autocast, where small gradients of float16 would be zero.
        with in_passing(self.model, plain=True):
            mine = [self._measure(probe, task, step) for task in tasks]
        values = self._agreed(mine)
        return {task: value for task, value in zip(tasks, values, strict=True) if math.isfinite(value)}

    def look(self, rows: Mapping[str, NDArray[np.int64]]) -> dict[str, GradientLook]:
        """Look at the gradients of some tasks by the halves of some of their rows, with everything trainable.

        Args:
            rows: Rows of each task, an even number of at least 4.

        Returns:
            One look per task; a task whose gradient is not finite has none.
        """
        with in_passing(self.model, plain=True):
            mine = [number for task, chosen in rows.items() for number in self._look(task, chosen)]
        values = self._agreed(mine)
        looks = {task: GradientLook(*values[2 * place : 2 * place + 2]) for place, task in enumerate(rows)}
        return {task: look for task, look in looks.items() if math.isfinite(look.squared_norm + look.variance)}

    def _agreed(self, values: Sequence[float]) -> list[float]:
        """Return the means over the processes, which measured the same."""
        mine = torch.tensor(values, dtype=torch.float64, device=self._processes.device)
        found: list[float] = (self._processes.reduce_sum(mine) / self._processes.world).tolist()
        return found

    def _look(self, task: str, rows: NDArray[np.int64]) -> tuple[float, float]:
        """Estimate the squared norm of a task's gradient, and the variance of a row's.

        The halves are independent, so that the noise of one does not meet itself in their product; and the mean of
        half the rows has the variance of a row by n/2, which the difference of two has twice.
        """
        first, second = (self._gradient(task, half) for half in np.split(rows, 2))
        found = torch.zeros(2, dtype=torch.float64, device=self._processes.device)
        for a, b in zip(first, second, strict=True):
            if a is not None and b is not None:
                one, other = a.double(), b.double()
                found += torch.stack([(one * other).sum(), (one - other).square().sum()])
        product, difference = found.tolist()
        return product, len(rows) / 4 * difference

    def _measure(self, probe: Probe, task: str, step: int) -> float:
        rows = self._rows.draw(task, self.size, "probe", task, step)
        if probe == "gradient_norm":
            return math.sqrt(squared_norm(self._gradient(task, rows)))
        return fisher_trace(self._gradient(task, row) for row in np.split(rows, len(rows)))

    @torch.enable_grad()
    def _gradient(self, task: str, rows: NDArray[np.int64]) -> Sequence[Tensor | None]:
        """Gradient of the task's loss over these rows with respect to the shared parameters."""
        chosen = self._rows.together({task: rows})
        batch, mass = self._rows.batch(chosen), self._rows.masses(chosen)[task]
        shared = [parameter for _, parameter in split_parameters(self.model)[0] if parameter.requires_grad]
        loss = self.model(**batch).row_losses[task].sum() / divisor(mass)
        self._flops.count(batch, backward=True)
        gradients: Sequence[Tensor | None] = torch.autograd.grad(loss, shared, allow_unused=True)
        return gradients
