"""Measurements of task gradients on a few rows."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_mtl.data.collate import Collator
from hf_mtl.data.permutation import derive_key, permute
from hf_mtl.inference.predict import to_device
from hf_mtl.modeling import MultiTaskModel, split_parameters
from hf_mtl.modeling.parameters import training_flops
from hf_mtl.processes import Processes
from hf_mtl.schedules import Probe

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
        collator: Makes batches of the training rows.
        seed: Seed of the rows that are drawn.
        processes: This process among the others.
        add_flops: Told the floating point operations of every extra pass.
        rows: Rows of a measurement; a task with fewer gives all it has.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        collator: Callable[[], Collator],
        seed: int,
        processes: Processes,
        add_flops: Callable[[float], None],
        rows: int = PROBE_ROWS,
    ):
        self.model = model
        self.seed = seed
        self.rows = rows
        self._make_collator = collator
        self._collator: Collator | None = None
        self._processes = processes
        self._add_flops = add_flops

    def measure(self, probe: Probe, tasks: Sequence[str], step: int) -> dict[str, float]:
        """Measure some tasks before a step, with everything trainable.

        Args:
            probe: ``gradient_norm``: norm of the gradient of the mean loss over the rows. ``fisher``: `fisher_trace`
                over the rows.
            tasks: The tasks.
            step: The step, which chooses the rows.

        Returns:
            One value per task; a task whose gradient is not finite has none.
        """
        training = self.model.training
        self.model.eval()
        try:
            mine = torch.tensor([self._measure(probe, task, step) for task in tasks], dtype=torch.float64)
        finally:
            self.model.train(training)
        values = self._processes.reduce_sum(mine.to(self._processes.device)) / self._processes.world
        return {task: value for task, value in zip(tasks, values.tolist(), strict=True) if math.isfinite(value)}

    def _measure(self, probe: Probe, task: str, step: int) -> float:
        if self._collator is None:
            self._collator = self._make_collator()
        size = len(self._collator.splits[task].tokens)
        rows = permute(np.arange(min(self.rows, size)), size, derive_key(self.seed, "probe", task, step))
        if probe == "gradient_norm":
            return math.sqrt(squared_norm(self._gradient(self._collator, task, rows)))
        return fisher_trace(
            self._gradient(self._collator, task, rows[place : place + 1]) for place in range(len(rows))
        )

    @torch.enable_grad()
    def _gradient(self, collator: Collator, task: str, rows: np.ndarray) -> Sequence[Tensor | None]:
        """Gradient of the rows' mean loss with respect to the shared parameters."""
        index = collator.names.index(task)
        batch = to_device(collator(np.full(len(rows), index, dtype=np.int64), rows), self.model.device)
        shared = [parameter for _, parameter in split_parameters(self.model)[0] if parameter.requires_grad]
        # Not under autocast, which accelerate has put around `forward`: small float16 gradients would be zero.
        forward: Any = vars(self.model).get("_original_forward", self.model)
        loss = forward(**batch).row_losses[task].mean()
        self._add_flops(training_flops(self.model.encoder, batch, backward=True))
        gradients: Sequence[Tensor | None] = torch.autograd.grad(loss, shared, allow_unused=True)
        return gradients
