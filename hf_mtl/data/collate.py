"""Collation: rows of several tasks become one batch of length groups, labels, and the rows of each head."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from hf_mtl.batch import Batch, Cut, Group
from hf_mtl.data.tokens import EncodedSplit

Arrangement = Literal["mixed", "segments", "split"]
"""Who is in a length group: rows of any task in any order; rows of any task, task by task; rows of one task."""


def default_group_cost(device: torch.device) -> int:
    """Return what one more length group costs on a device, in tokens.

    On a CPU it is little beside the arithmetic. On an accelerator it is the time in which the kernels of all layers
    are started. An H100 took 290 ms for a step of MiniLM with a cost of 64, and the Trainer 80 ms for one rectangle.
    """
    return 64 if device.type == "cpu" else 16_384


def length_groups(lengths: NDArray[np.int64], group_cost: int) -> list[NDArray[np.int64]]:
    """Split rows into groups of similar length with the least padded tokens plus a fixed cost per group.

    Exact, by dynamic programming over the distinct lengths: an optimal grouping is contiguous in length.

    Args:
        lengths: Tokens of each row, [B].
        group_cost: Cost of one group, in tokens.

    Returns:
        Row indices of each group, shortest group first.
    """
    order = np.argsort(lengths, kind="stable")
    distinct, counts = np.unique(lengths, return_counts=True)
    ends = np.concatenate([[0], np.cumsum(counts)])
    best = np.zeros(len(ends))
    cut = np.zeros(len(ends), dtype=np.int64)
    for stop in range(1, len(ends)):
        # A group of the rows [ends[start], ends[stop]) is padded to its longest, distinct[stop - 1].
        costs = best[:stop] + (ends[stop] - ends[:stop]) * distinct[stop - 1] + group_cost
        cut[stop] = int(costs.argmin())
        best[stop] = costs[cut[stop]]
    groups, stop = [], len(ends) - 1
    while stop > 0:
        groups.append(order[ends[cut[stop]] : ends[stop]])
        stop = int(cut[stop])
    return groups[::-1]


class Collator:
    """Makes the batch that `MultiTaskModel.forward` takes.

    Args:
        splits: The rows of each task, in task order.
        pad_id: Token id of padding.
        length_grouping: Group by length; otherwise one padded rectangle.
        group_cost: Fixed cost of a group, in padded tokens.
        arrangement: How tasks share the groups. Only ``mixed`` encodes texts once that carry labels of several tasks;
            the others say in each group's ``cut`` which rows are whose: (task, first, last + 1).
    """

    def __init__(
        self,
        splits: Mapping[str, EncodedSplit],
        pad_id: int,
        length_grouping: bool,
        group_cost: int,
        arrangement: Arrangement = "mixed",
    ):
        self.splits = dict(splits)
        self.names = list(splits)
        self.pad_id = pad_id
        self.length_grouping = length_grouping
        self.group_cost = group_cost
        self.arrangement: Arrangement = arrangement

    def lengths(self, tasks: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the tokens of each row, [B], given its task index and its row in that task's split."""
        lengths = np.empty(len(rows), dtype=np.int32)
        for index in np.unique(tasks):
            mine = tasks == index
            lengths[mine] = self.splits[self.names[index]].tokens.lengths[rows[mine]]
        return lengths

    def masses(self, tasks: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Sum the masses of each task's rows, [T], given the task index of each row and its row in the split."""
        masses = np.ones(len(rows))
        for index, split in enumerate(self.splits.values()):
            if split.masses is not None:
                mine = tasks == index
                masses[mine] = split.masses[rows[mine]]
        # One row after the other, so that every process, on whatever machine, gets the same bits.
        sums = np.bincount(tasks, weights=masses, minlength=len(self.splits))
        return np.asarray(sums, dtype=np.float64)

    def __call__(self, tasks: NDArray[np.int64], rows: NDArray[np.int64]) -> Batch:
        """Collate rows that are ordered by task.

        Args:
            tasks: Task index of each row, [B], ascending.
            rows: Row in that task's split, [B].

        Returns:
            The batch, as yet without ``noise`` and ``plan``.
        """
        present, starts = np.unique(tasks, return_index=True)
        stops = [*starts[1:].tolist(), len(tasks)]
        segments = {self.names[t]: (int(a), int(b)) for t, a, b in zip(present, starts, stops, strict=True)}
        unique, copy_of = self._encode_once(tasks, rows)
        lengths = self.lengths(tasks[unique], rows[unique]).astype(np.int64)
        groups = self._groups(tasks[unique], lengths)
        place = np.empty(len(unique), dtype=np.int64)
        # The inverse of the order in which the groups lie end to end: row i is found at place[i].
        place[np.concatenate(groups)] = np.arange(len(unique))
        return {
            "groups": [self._pad(tasks[unique[group]], rows[unique[group]]) for group in groups],
            "order": torch.from_numpy(place[copy_of]),
            "segments": segments,
            "labels": {
                name: torch.from_numpy(self.splits[name].labels[rows[start:stop]])
                for name, (start, stop) in segments.items()
                if self.splits[name].labelled
            },
        }

    def _groups(self, tasks: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Tell which rows are encoded together."""
        if self.arrangement == "split":
            each = [np.flatnonzero(tasks == index) for index in np.unique(tasks)]
            return [mine[group] for mine in each for group in self._by_length(lengths[mine])]
        groups = self._by_length(lengths)
        return groups if self.arrangement == "mixed" else [np.sort(group) for group in groups]

    def _by_length(self, lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return length_groups(lengths, self.group_cost) if self.length_grouping else [np.arange(len(lengths))]

    def _encode_once(
        self, tasks: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find texts that carry labels of several tasks: which rows to encode, and each row's place among them.

        Copies within one task stay apart, as the Trainer would see them.
        """
        everything = np.arange(len(rows))
        if not self.length_grouping or self.arrangement != "mixed" or len(np.unique(tasks)) < 2:
            return everything, everything
        first: dict[tuple[bytes, int], int] = {}
        seen: Counter[tuple[int, bytes]] = Counter()
        unique: list[int] = []
        copy_of = np.empty(len(rows), dtype=np.int64)
        for position, (task, row) in enumerate(zip(tasks.tolist(), rows.tolist(), strict=True)):
            text = self.splits[self.names[task]].tokens.content(row)
            key = (text, seen[task, text])
            seen[task, text] += 1
            if key not in first:
                first[key] = len(unique)
                unique.append(position)
            copy_of[position] = first[key]
        return np.array(unique), copy_of

    def _pad(self, tasks: NDArray[np.int64], rows: NDArray[np.int64]) -> Group:
        """Make one padded rectangle of rows of several tasks, and tell whose they are."""
        width = int(self.lengths(tasks, rows).max())
        parts: dict[str, list[tuple[NDArray[np.bool_], NDArray[np.int64]]]] = {}
        for index in np.unique(tasks):
            mine = tasks == index
            padded = self.splits[self.names[index]].tokens.pad(rows[mine], self.pad_id, width)
            for key, value in padded.items():
                parts.setdefault(key, []).append((mine, value))
        rectangle: dict[str, Any] = {} if self.arrangement == "mixed" else {"cut": cut_by_task(tasks)}
        for key, values in parts.items():
            whole = np.zeros((len(rows), width), dtype=np.int64)
            for mine, value in values:
                whole[mine] = value
            rectangle[key] = torch.from_numpy(whole)
        return cast(Group, rectangle)


def cut_by_task(tasks: NDArray[np.int64]) -> Cut:
    """Return where the rows of each task are, among rows that are ordered by task: (task, first, last + 1).

    Args:
        tasks: Task index of each row, ascending [b].
    """
    found, starts = np.unique(tasks, return_index=True)
    stops = [*starts[1:], len(tasks)]
    return [(int(task), int(start), int(stop)) for task, start, stop in zip(found, starts, stops, strict=True)]
