"""Rows of a Trainer as they were before they were encoded, kept until they are compared."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.contamination import Settled, settle
from hf_mtl.data.encoded import LabelledRows
from hf_mtl.data.imbalance import Imbalance, imbalance_of
from hf_mtl.data.load import say_notes
from hf_mtl.data.overlap import ComparedRows, overlap_notes
from hf_mtl.data.overlap_counts import Overlap
from hf_mtl.data.processes import from_first
from hf_mtl.data.section import Contamination, ImbalanceSpec
from hf_mtl.data.sharing import of_one_process
from hf_mtl.data.texts import is_tokenised
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.tasks import Task

Splits = dict[str, EncodedSplit]


class SeenRows:
    """Texts of the rows that were encoded, by task and split; empty on processes that others encode for."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], ComparedRows] = {}
        self._kinds: set[bool] = set()

    def add(self, name: str, split: str, task: Task, rows: LabelledRows) -> None:
        """Keep rows, with their keys, under the name of their task.

        Args:
            name: The task's name.
            split: The split's name.
            task: The task.
            rows: The rows in the order in which they were encoded.
        """
        assert rows.keys is not None
        self._kinds.add(is_tokenised(task, rows.dataset))
        self._rows[name, split] = ComparedRows.of(task, rows.dataset, rows.keys)

    def keep(self, name: str, split: str, rows: NDArray[np.int64]) -> None:
        """Go on with some of the rows of a split, by index."""
        if (name, split) in self._rows:
            all_rows = self._rows[name, split]
            show = all_rows.show
            self._rows[name, split] = ComparedRows(all_rows.keys.select(rows), lambda row: show(int(rows[row])))

    def compared(self, encoded: Mapping[tuple[str, str], EncodedSplit]) -> dict[tuple[str, str], ComparedRows]:
        """Return rows as they are compared: by their texts, or by their tokens where some alone came without texts.

        Args:
            encoded: The same rows encoded, by task and split.
        """
        if encoded.keys() <= self._rows.keys() and len(self._kinds) == 1:
            return {place: self._rows[place] for place in encoded}
        return {place: ComparedRows.of_tokens(rows.tokens) for place, rows in encoded.items()}


def draw_encoded(
    train: Splits,
    tasks: Mapping[str, Task],
    spec: ImbalanceSpec | None,
    seed: int,
    seen: SeenRows | None = None,
) -> tuple[Splits, Imbalance | None]:
    """Draw the training rows of a Trainer in a ratio, and say so.

    Args:
        train: The training rows by task.
        tasks: The tasks.
        spec: The ratio; None: all rows stay.
        seed: Seed of the draw.
        seen: Their texts, of which as many are kept.

    Returns:
        The rows, and how they were drawn.

    Raises:
        DataError: If the tasks have too few rows for the ratio.
    """
    if spec is None:
        return train, None
    drawn = imbalance_of(spec, {name: tasks[name].strata(part.labels) for name, part in train.items()}, seed)
    fewer = {name: rows for name, rows in drawn.rows.items() if len(rows) < len(train[name])}
    if not fewer:  # they have the ratio already, as those of a recipe
        return train, drawn
    # In memory that the processes of a machine share, as the rows that they are taken from.
    left = of_one_process(lambda: {name: train[name].select(rows) for name, rows in fewer.items()})
    say_notes([f"imbalance: {drawn.sentence()}."])
    for name, part in left.items():
        say_notes(f"{name}: {note}" for note in tasks[name].train_notes(part.labels))
        if seen is not None:
            seen.keep(name, "train", fewer[name])
    return {name: left.get(name, part) for name, part in train.items()}, drawn


def settle_encoded(
    seen: SeenRows, tasks: Mapping[str, Task], train: Splits, scored: Splits, contamination: Contamination
) -> tuple[Splits, tuple[Overlap, ...]]:
    """Compare the rows of a Trainer, and say what was found.

    The first process compares, and all get what it has found.

    Args:
        seen: Their texts.
        tasks: The tasks.
        train: The training rows by task.
        scored: The rows to score by task.
        contamination: What is done about rows that are both.

    Returns:
        The training rows that stay, and what was found.

    Raises:
        DataError: If rows that are both are refused, or no training row of a task would be left.
    """

    def compare() -> Settled:
        both = {"train": train, "validation": scored}
        rows = seen.compared({(name, split): part for split, parts in both.items() for name, part in parts.items()})
        to_score = {place: found for place, found in rows.items() if place[1] != "train"}
        return settle({name: rows[name, "train"] for name in train}, to_score, contamination)

    found = from_first(compare)
    say_notes(overlap_notes(found.overlaps))
    if not found.kept:
        return train, found.overlaps
    # In memory that the processes of a machine share, as the rows that they are taken from.
    left = of_one_process(lambda: {name: train[name].select(rows) for name, rows in found.kept.items()})
    for name, part in left.items():
        say_notes(f"{name}: {note}" for note in tasks[name].train_notes(part.labels))
    return {name: left.get(name, part) for name, part in train.items()}, found.overlaps
