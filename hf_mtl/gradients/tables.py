"""Task gradients of an embedding table: only the rows of tokens that occur."""

import torch
from torch import Tensor

from hf_mtl.balancing import room
from hf_mtl.processes import Processes

PARTS = 8
"""Gradients per task that are kept before they are merged: more than the calls of a micro-batch."""


class TableRows:
    """Collects the gradients of one table [V, H] over a step.

    Args:
        size: Rows of the table V.
        width: Columns of the table H.
        tasks: Number of tasks T.
        dtype: How they are held.
        device: Where they are.
    """

    def __init__(self, size: int, width: int, tasks: int, dtype: torch.dtype, device: torch.device):
        self.size, self.width, self.tasks = size, width, tasks
        self.dtype, self.device = dtype, device
        self.begin()

    def begin(self) -> None:
        """Start a step."""
        self._parts: list[tuple[int, Tensor, Tensor]] = []
        self.ids = torch.empty(0, dtype=torch.int64, device=self.device)
        self.values = torch.zeros(self.tasks, 0, dtype=self.dtype, device=self.device)

    def add(self, task: int, ids: Tensor, gradient: Tensor) -> None:
        """Add gradients [n, H] of the table's rows ``ids`` [n], which may repeat, for one task."""
        self._parts.append((task, ids, gradient))
        if len(self._parts) > PARTS * self.tasks:
            self._merge()

    def close(self, processes: Processes) -> None:
        """Add up what was collected, over the processes too: ``ids`` [U], ``values`` [T, U H]."""
        # Every process has seen other tokens: they agree on the rows first, so that the sums are of the same ones.
        touched = torch.zeros(self.size, dtype=torch.float32, device=self.device)
        for _, ids, _ in self._parts:
            touched[ids] = 1.0
        self.ids = processes.reduce_sum(touched).nonzero().flatten()
        place = torch.empty(self.size, dtype=torch.int64, device=self.device)
        place[self.ids] = torch.arange(len(self.ids), device=self.device)
        rows = torch.zeros(self.tasks, len(self.ids), self.width, dtype=torch.float32, device=self.device)
        for task, ids, gradient in self._parts:
            rows[task].index_add_(0, place[ids], gradient.float())
        self._parts = []
        self.values = processes.reduce_sum(rows).flatten(1).to(self.dtype)

    def _merge(self) -> None:
        """Keep one gradient of every row that a task has touched, however many micro-batches a step has."""
        merged = []
        for task in sorted({task for task, _, _ in self._parts}):
            mine = [(ids, gradient.float()) for owner, ids, gradient in self._parts if owner == task]
            ids, place = torch.cat([ids for ids, _ in mine]).unique(return_inverse=True)
            total = torch.zeros(len(ids), self.width, dtype=torch.float32, device=self.device)
            merged.append((task, ids, total.index_add_(0, place, torch.cat([gradient for _, gradient in mine]))))
        self._parts = merged

    def dense(self, combined: Tensor) -> Tensor:
        """Spread a gradient of the touched rows [U H] over the whole table [V, H]."""
        table = room(self.size, self.width, dtype=combined.dtype, device=self.device)
        table[self.ids] = combined.view(len(self.ids), self.width)
        return table
