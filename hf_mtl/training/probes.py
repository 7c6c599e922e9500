"""Measurements of task gradients on a few rows, the same on every process: nothing to communicate."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from hf_mtl.data.collate import Collator
from hf_mtl.data.permutation import derive_key, permute
from hf_mtl.data.tokens import TokenStore
from hf_mtl.modeling import MultiTaskModel, split_parameters
from hf_mtl.schedules import Probe
from hf_mtl.training.evaluate import to_device

PROBE_ROWS = 16


class Prober:
    """Measures gradients of single tasks with respect to the shared parameters, in eval mode.

    Args:
        model: The model.
        collator: Makes batches of the training rows.
        seed: Seed of the rows that are drawn.
        add_flops: Told the floating point operations of every extra pass.
        rows: Rows of a measurement; a task with fewer gives all it has.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        collator: Callable[[], Collator],
        seed: int,
        add_flops: Callable[[float], None],
        rows: int = PROBE_ROWS,
    ):
        self.model = model
        self.seed = seed
        self.rows = rows
        self._make_collator = collator
        self._collator: Collator | None = None
        self._add_flops = add_flops

    def measure(self, probe: Probe, tasks: Sequence[str], step: int) -> dict[str, float]:
        """Measure some tasks before a step.

        Args:
            probe: ``gradient_norm``: norm of the gradient of the mean loss over the rows. ``fisher``: empirical
                Fisher trace, the mean over single rows of the squared norm of their gradient.
            tasks: The tasks.
            step: The step, which chooses the rows.

        Returns:
            One value per task.
        """
        training = self.model.training
        self.model.eval()
        try:
            return {task: self._measure(probe, task, step) for task in tasks}
        finally:
            self.model.train(training)

    def _measure(self, probe: Probe, task: str, step: int) -> float:
        rows = self._draw(task, step)
        if probe == "gradient_norm":
            return float(self._squared_norm(task, rows)) ** 0.5
        return float(
            np.mean([float(self._squared_norm(task, rows[place : place + 1])) for place in range(len(rows))])
        )

    def _draw(self, task: str, step: int) -> np.ndarray:
        size = len(self._rows_of(task))
        return permute(np.arange(min(self.rows, size)), size, derive_key(self.seed, "probe", task, step))

    def _rows_of(self, task: str) -> TokenStore:
        if self._collator is None:
            self._collator = self._make_collator()
        return self._collator.splits[task].tokens

    @torch.enable_grad()
    def _squared_norm(self, task: str, rows: np.ndarray) -> Tensor:
        """Squared norm of the gradient of the rows' mean loss with respect to the shared parameters."""
        assert self._collator is not None
        index = self._collator.names.index(task)
        batch = to_device(self._collator(np.full(len(rows), index, dtype=np.int64), rows), self.model.device)
        shared = [parameter for _, parameter in split_parameters(self.model)[0] if parameter.requires_grad]
        loss = self.model(**batch).row_losses[task].mean()
        gradients = torch.autograd.grad(loss, shared, allow_unused=True)
        self._add_flops(3 * self.model.floating_point_ops(batch))  # forward, and twice that backward
        return sum((gradient.float().pow(2).sum() for gradient in gradients if gradient is not None), torch.zeros(()))
