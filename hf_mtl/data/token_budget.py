"""Batches of rows of similar length that hold so many tokens, whatever the rows are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hf_mtl.data.rectangles import Rows, by_length


@dataclass(frozen=True)
class BatchLimit:
    """The most that a batch holds; a row longer than that is a batch of its own.

    Args:
        tokens: Tokens; None: as many as its rows have.
        rows: Rows; None: as many as its tokens allow.
        padded: Whether padding counts, as where the rows become one rectangle.
    """

    tokens: int | None = None
    rows: int | None = None
    padded: bool = False


def default_eval_tokens(device: torch.device) -> int:
    """Return how many tokens a batch has at evaluation, where the arguments do not say it.

    On a CPU more tokens only leave its caches: MiniLM took 7% longer with 4,096. An accelerator takes that many to be
    busy, and little memory for them.
    """
    return 1024 if device.type == "cpu" else 32_768


def cut_by_size(lengths: NDArray[np.integer[Any]], limit: BatchLimit) -> list[Rows]:
    """Cut rows into batches: similar lengths together, long ones first.

    As few batches as rows in this order allow.

    Args:
        lengths: Tokens of each row, [n].
        limit: The most that a batch holds.

    Returns:
        The rows of each batch; none of them is empty.
    """
    return _Ordered.of(lengths).cut(limit)


def cut_evenly(lengths: NDArray[np.integer[Any]], limit: BatchLimit, world: int) -> list[Rows]:
    """Cut rows as `cut_by_size` does, into as many batches for each process where there are rows enough.

    With as many batches as that takes, all are as small as they can be: no process waits for one that has more.

    Args:
        lengths: Tokens of each row, [n].
        limit: The most that a batch holds.
        world: Number of processes, to which the batches are dealt in turn.
    """
    ordered = _Ordered.of(lengths)
    batches = ordered.cut(limit)
    if world == 1:
        return batches
    most = -(-len(batches) // world) * world
    low, high = 1, int(ordered.lengths.sum()) if limit.tokens is None else limit.tokens
    if limit.padded and limit.tokens is None:
        high = len(lengths) * int(lengths.max(initial=0))
    while low < high:  # fewer tokens, never fewer batches
        middle = (low + high) // 2
        tried = ordered.cut(BatchLimit(middle, limit.rows, limit.padded))
        if len(tried) > most:
            low = middle + 1
        else:
            batches, high = tried, middle
    return batches


@dataclass(frozen=True)
class _Ordered:
    """Rows by length, long ones first.

    Args:
        rows: The rows, [n].
        lengths: Their tokens, in the same order.
        ends: Tokens up to the end of each of them, and 0 before, [n + 1].
    """

    rows: Rows
    lengths: Rows
    ends: Rows

    @classmethod
    def of(cls, lengths: NDArray[np.integer[Any]]) -> "_Ordered":
        """Order rows, those of one length as they are."""
        longest = int(lengths.max(initial=0))
        rows = by_length(longest - lengths.astype(np.int64))
        ordered = lengths[rows].astype(np.int64)
        return cls(rows, ordered, np.concatenate([[0], np.cumsum(ordered)]))

    def cut(self, limit: BatchLimit) -> list[Rows]:
        """Give each batch, one after the other, all that it can hold."""
        found, start = [], 0
        while start < len(self.rows):
            stop = start + max(1, min(self._fit(start, limit), limit.rows or len(self.rows)))
            found.append(self.rows[start:stop])
            start = stop
        return found

    def _fit(self, start: int, limit: BatchLimit) -> int:
        """Count the rows from one on whose tokens fit into a batch."""
        if limit.tokens is None:
            return len(self.rows)
        if limit.padded:
            return limit.tokens // max(int(self.lengths[start]), 1)
        return int(np.searchsorted(self.ends, self.ends[start] + limit.tokens, side="right")) - 1 - start
