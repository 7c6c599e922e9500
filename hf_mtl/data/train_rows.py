"""Training rows as batches, for what looks at some of them beside the steps of the plan."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from hf_mtl.batch import Arrangement, Batch, to_device
from hf_mtl.data.collate import Collator
from hf_mtl.data.permutation import derive_key, permute

Chosen: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows of several tasks, ordered by task: the task index of each, and its row in that task's split."""

_PROBE_TASKS, _PROBE_ROWS = 2, 3


class TrainRows:
    """Draws training rows and makes batches of them.

    Draws are functions of the seed and a key: no generator notices them, and all processes draw the same.

    Args:
        collator: Makes batches of the training rows; it is this object's own.
        seed: Seed of all draws.
        device: Where the batches go.
    """

    def __init__(self, collator: Collator, seed: int, device: torch.device):
        self.names = collator.names
        self.sizes = {name: len(split) for name, split in collator.splits.items()}
        self.seed = seed
        self.device = device
        self._collator = collator

    def draw(self, task: str, rows: int, *key: int | str) -> NDArray[np.int64]:
        """Draw rows of one task without repeating any; all of them where it has no more.

        Args:
            task: The task.
            rows: How many.
            key: What the draw is for.
        """
        size = self.sizes[task]
        return permute(np.arange(min(rows, size)), size, derive_key(self.seed, *key))

    def each_once(self, at_once: int, *key: int | str) -> Iterator[Chosen]:
        """Go through the rows of all tasks in one random order.

        Args:
            at_once: How many rows come together; the last may be fewer.
            key: What the order is for.
        """
        tasks, rows = self.together({name: np.arange(size) for name, size in self.sizes.items()})
        order = permute(np.arange(len(rows)), len(rows), derive_key(self.seed, *key))
        for start in range(0, len(rows), at_once):
            chosen = np.sort(order[start : start + at_once])  # sorted: ordered by task
            yield tasks[chosen], rows[chosen]

    def together(self, rows: dict[str, NDArray[np.int64]]) -> Chosen:
        """Put rows of several tasks behind each other.

        Args:
            rows: The rows by task, in task order.
        """
        tasks = [np.full(len(mine), self.names.index(name), dtype=np.int64) for name, mine in rows.items()]
        return np.concatenate(tasks), np.concatenate(list(rows.values()))

    def batch(self, chosen: Chosen, arrangement: Arrangement = "mixed") -> Batch:
        """Make a batch of some rows.

        Args:
            chosen: The rows.
            arrangement: How tasks share encodings and rectangles.
        """
        self._collator.arrangement = arrangement
        return to_device(self._collator(*chosen), self.device)

    def lengths(self, chosen: Chosen) -> NDArray[np.int32]:
        """Return the tokens of each of some rows."""
        return self._collator.lengths(*chosen)

    def masses(self, chosen: Chosen) -> dict[str, float]:
        """Add up the masses of some rows by task; 0 for a task without any."""
        return dict(zip(self.names, self._collator.masses(*chosen).tolist(), strict=True))

    def probe(self) -> Batch:
        """Make a batch of a few rows of two tasks, cut by task: to try what works with the model."""
        some = list(self.sizes.items())[:_PROBE_TASKS]
        return self.batch(self.together({name: np.arange(min(_PROBE_ROWS, size)) for name, size in some}), "segments")
