"""Rows of several tasks -> one batch: their tokens end to end, labels, and which head sees which rows."""

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from hf_mtl.batch import Arrangement, Batch, Cut, Packed
from hf_mtl.data.batch_sites import labels_of, sites_of
from hf_mtl.data.rectangles import Rows, cut_by_task, length_groups, rectangles_of
from hf_mtl.data.row_weights import scaled_weights
from hf_mtl.data.tokens import EncodedSplit, TokenStore

Marks = NDArray[np.uint64]


class Collator:
    """Makes the batch that `MultiTaskModel.forward` takes.

    Args:
        splits: The rows of each task, in task order.
        pad_id: Token id of padding.
        group_cost: What one more rectangle of rows of similar length costs, in padded tokens; None: all rows are in
            one rectangle, as `transformers.Trainer` has them.
        arrangement: Whose rows share an encoding or a rectangle. But for ``mixed`` the batch says whose rows are
            whose.

    Attributes:
        names_every_task: Whether micro-batches of planned steps name all tasks of their step, as they must where
            every process holds a part of each parameter.
    """

    names_every_task = False

    def __init__(
        self,
        splits: Mapping[str, EncodedSplit],
        pad_id: int,
        group_cost: int | None,
        arrangement: Arrangement = "mixed",
    ):
        self.splits = dict(splits)
        self.names = list(splits)
        self.pad_id = pad_id
        self.group_cost = group_cost
        self.arrangement: Arrangement = arrangement
        # Of these very rows: a draw of some of them has another mean.
        given = {name: split.weights for name, split in splits.items() if split.weights is not None}
        self._weights = {name: scaled_weights(weights).astype(np.float32) for name, weights in given.items()}

    def lengths(self, tasks: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the tokens of rows that are ordered by task, [B], given the task index and the row of each."""
        lengths = np.empty(len(rows), dtype=np.int32)
        for task, start, stop in cut_by_task(tasks):
            lengths[start:stop] = self.splits[self.names[task]].lengths[rows[start:stop]]
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
        of_rows = {self.names[task]: rows[start:stop] for task, start, stop in cut_by_task(tasks)}
        owners, sequences = self.sequences(tasks, rows)
        unique, copy_of = self._encode_once(owners, sequences)
        sites = {name: sites_of(self.splits[name], mine) for name, mine in of_rows.items()}
        batch: Batch = {
            "packed": self._pack(owners[unique], sequences[unique]),
            "segments": {self.names[task]: (start, stop) for task, start, stop in cut_by_task(owners)},
            "labels": {
                name: labels_of(self.splits[name], mine, sites[name])
                for name, mine in of_rows.items()
                if self.splits[name].labelled
            },
        }
        if weighted := {name: mine for name, mine in of_rows.items() if name in self._weights}:
            batch["row_weights"] = {
                name: torch.from_numpy(self._weights[name][mine]) for name, mine in weighted.items()
            }
        if len(unique) < len(sequences):
            batch["order"] = torch.from_numpy(copy_of)
        if looked := {name: found for name, found in sites.items() if found is not None}:
            batch["sites"] = looked
        return batch

    def sequences(self, tasks: Rows, rows: Rows) -> tuple[Rows, Rows]:
        """Return the sequences of rows that are ordered by task: whose each is, and its number in the split."""
        if all(self.splits[self.names[task]].sites is None for task, _, _ in cut_by_task(tasks)):
            return tasks, rows
        parts = [
            (task, self.splits[self.names[task]].sequences_of(rows[start:stop]))
            for task, start, stop in cut_by_task(tasks)
        ]
        owners = [np.full(len(mine), task, dtype=np.int64) for task, mine in parts]
        return np.concatenate(owners), np.concatenate([mine for _, mine in parts])

    def _pack(self, tasks: Rows, rows: Rows) -> Packed:
        """Put the tokens of rows end to end, in the order of the rows."""
        parts = [self.splits[self.names[task]].tokens.flat(rows[a:b]) for task, a, b in cut_by_task(tasks)]
        lengths = np.concatenate([part.lengths for part in parts]).astype(np.int64)
        whose = None if self.arrangement == "mixed" else tasks
        packed: Packed = {
            "input_ids": torch.from_numpy(np.concatenate([part.ids for part in parts])),
            "offsets": torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)])),
            "lengths": lengths.tolist(),
            "rectangles": rectangles_of(lengths, self._groups(tasks, lengths), self.pad_id, whose),
        }
        types = [part.type_ids for part in parts if part.type_ids is not None]
        if types:
            packed["token_type_ids"] = torch.from_numpy(np.concatenate(types))
        if whose is not None:
            packed["cut"] = cut_by_task(whose)
        return packed

    def _groups(self, tasks: Rows, lengths: Rows) -> list[Rows]:
        """Tell which rows are in one rectangle."""
        if self.arrangement == "split":
            found = [(a, group) for _, a, b in cut_by_task(tasks) for group in self.by_length(lengths[a:b])]
            return [a + np.sort(group) for a, group in found]
        # In their own order, which is that of tasks.
        return [np.sort(group) for group in self.by_length(lengths)]

    def by_length(self, lengths: Rows) -> list[Rows]:
        """Tell which rows of these lengths share a rectangle."""
        return [np.arange(len(lengths))] if self.group_cost is None else length_groups(lengths, self.group_cost)

    def _encode_once(self, tasks: Rows, rows: Rows) -> tuple[Rows, Rows]:
        """Find texts that carry labels of several tasks: which rows to encode, and each row's place among them.

        Copies within one task stay apart, as the Trainer would see them.
        """
        everything = np.arange(len(rows))
        if self.arrangement != "mixed" or tasks[0] == tasks[-1]:
            return everything, everything
        cuts = cut_by_task(tasks)
        # All rows get a glance, and those that look like a row of another task a thorough look.
        alike = _in_several(self._of_tokens(TokenStore.glances, cuts, rows), tasks)
        if len(alike):
            some = tasks[alike]
            alike = alike[_in_several(self._of_tokens(TokenStore.marks, cut_by_task(some), rows[alike]), some)]
        return self._share(tasks, rows, alike) if len(alike) else (everything, everything)

    def _of_tokens(self, look: Callable[[TokenStore, Rows], Marks], cuts: Cut, rows: Rows) -> Marks:
        """Ask the token stores of the tasks for a number of each row."""
        return np.concatenate([look(self.splits[self.names[task]].tokens, rows[a:b]) for task, a, b in cuts])

    def _share(self, tasks: Rows, rows: Rows, candidates: Rows) -> tuple[Rows, Rows]:
        """As `_encode_once`, where only some rows can have a text that another row has too."""
        first: dict[tuple[bytes, int], int] = {}
        seen: Counter[tuple[int, bytes]] = Counter()
        same_as = np.arange(len(rows))
        for position in candidates.tolist():
            task, row = int(tasks[position]), int(rows[position])
            text = self.splits[self.names[task]].tokens.content(row)
            key = (text, seen[task, text])
            seen[task, text] += 1
            same_as[position] = first.setdefault(key, position)
        unique, copy_of = np.unique(same_as, return_inverse=True)
        return unique, copy_of


def _in_several(numbers: Marks, tasks: Rows) -> Rows:
    """Return the places, ascending, of numbers that rows of more than one task have.

    Args:
        numbers: A number of each row, [B].
        tasks: Task index of each row, ascending [B].
    """
    order = np.argsort(numbers, kind="stable")  # tasks ascend among equal numbers too
    ordered, theirs = numbers[order], tasks[order]
    wanted = ordered[1:][(ordered[1:] == ordered[:-1]) & (theirs[1:] != theirs[:-1])]
    # Its other way is a table of all numbers between them, which are hashes; numpy 2.0 overflows when it sees so.
    return np.flatnonzero(np.isin(numbers, wanted, kind="sort")) if len(wanted) else order[:0]
