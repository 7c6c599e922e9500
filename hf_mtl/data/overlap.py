"""Rows to score that stand in the training rows of some task, which make its scores say less than they seem to."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from hf_mtl.data.columns import name_count
from hf_mtl.data.overlap_counts import Overlap
from hf_mtl.data.text_keys import Keys, TextKeys, among, keys_of_tokens
from hf_mtl.data.texts import is_tokenised
from hf_mtl.data.tokens import TokenStore
from hf_mtl.tasks import Task

_EXAMPLES = 3
_WIDTH = 60  # characters of a row that are shown


@dataclass(frozen=True)
class ComparedRows:
    """The rows of a split that are compared with others.

    Args:
        keys: The hashes of their texts.
        show: Writes the row of a number as it is shown to the user.
    """

    keys: TextKeys
    show: Callable[[int], str]

    @classmethod
    def of(cls, task: Task, dataset: Dataset, keys: TextKeys) -> "ComparedRows":
        """Take the rows of a dataset, with the hashes of their texts."""
        return cls(keys, partial(_show_row, task, dataset))

    @classmethod
    def of_tokens(cls, tokens: TokenStore) -> "ComparedRows":
        """Take rows of which only the token ids are known."""
        keys = keys_of_tokens(tokens.flat_ids, tokens.offsets)
        return cls(keys, lambda row: _clipped(tokens.ids(row).tolist(), _WIDTH))

    def __len__(self) -> int:
        return len(self.keys.texts)

    @property
    def is_single(self) -> bool:
        """Tell whether a row is one text."""
        return bool(self.keys.texts.shape[1] == 1)

    @cached_property
    def rows(self) -> Keys:
        """Return one hash for each row, uint64 [n]."""
        return self.keys.rows

    @cached_property
    def _sorted_rows(self) -> Keys:
        # Sorted is enough for `among`; numpy's unique would only add time.
        return np.sort(self.rows)

    @cached_property
    def _sorted_texts(self) -> Keys:
        return self._sorted_rows if self.is_single else np.sort(self.keys.texts, axis=None)

    def standing_in(self, other: "ComparedRows") -> NDArray[np.bool_]:
        """Tell which of these rows are among others, bool [n].

        Texts and pairs are the same in any order of the pair; a text stands in a pair, and a pair in single texts,
        where it is one of the two.
        """
        if self.keys.texts.shape[1] == other.keys.texts.shape[1]:
            return among(self.rows, other._sorted_rows)
        if not (self.is_single or other.is_single):
            return np.zeros(len(self), dtype=bool)
        found = among(self.keys.texts.reshape(-1), other._sorted_texts)
        return np.asarray(found.reshape(self.keys.texts.shape).any(axis=1))


def find_overlaps(
    train: Mapping[str, ComparedRows], scored: Mapping[tuple[str, str], ComparedRows]
) -> tuple[list[Overlap], dict[str, NDArray[np.bool_]]]:
    """Compare the rows to score with the training rows of every task.

    Args:
        train: The training rows by task.
        scored: The rows to score by task and split.

    Returns:
        What was found; and by task which of its training rows rows to score stand in, of tasks that have any.
    """
    found: list[Overlap] = []
    standing: dict[str, NDArray[np.bool_]] = {}
    for (name, split), rows in scored.items():
        for other, trained in train.items():
            places = np.flatnonzero(rows.standing_in(trained))
            if not len(places):
                continue
            theirs = trained.standing_in(rows)
            standing[other] = standing.get(other, False) | theirs
            examples = tuple(rows.show(row) for row in places[:_EXAMPLES].tolist())
            counts = len(rows), len(places), other, int(theirs.sum())
            found.append(Overlap(name, split, *counts, examples=examples))
    return found, standing


def overlap_notes(overlaps: Iterable[Overlap]) -> Iterator[str]:
    """Put what was found in words, one note for each split that has any.

    Args:
        overlaps: What was found, the tasks that train on rows of a split together.
    """
    for (name, split), group in groupby(overlaps, key=lambda item: (item.task, item.split)):
        alike: dict[tuple[int, tuple[str, ...]], list[Overlap]] = {}
        for item in group:
            alike.setdefault((item.found, item.examples), []).append(item)
        parts = [_part(items, split, first=not index) for index, items in enumerate(alike.values())]
        yield f"{name}: {'; '.join(parts)}."


def _part(items: list[Overlap], split: str, first: bool) -> str:
    item = items[0]
    of = f" of {name_count(item.rows, f'{split} row')}" if first else ""
    verb = "stands" if item.found == 1 else "stand"
    trained = _listed([each.trained for each in items])
    such = f", such as {_listed(list(item.examples))}" if item.examples else ""
    taken = sum(each.trained_rows for each in items if each.dropped)
    out = f" ({name_count(taken, 'training row')} taken out)" if taken else ""
    return f"{item.found:,}{of} {verb} in the training rows of {trained}{out}{such}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _show_row(task: Task, dataset: Dataset, row: int) -> str:
    """Write the beginnings of a row's texts, or of its token ids."""
    columns = ["input_ids"] if is_tokenised(task, dataset) else task.text_columns
    values = dataset.select([row]).select_columns(columns)[0]
    return " / ".join(_clipped(values[column], _WIDTH // len(columns)) for column in columns)


def _clipped(value: Any, width: int) -> str:
    text = " ".join(map(str, value[:width])) if isinstance(value, list) else str(value)
    return repr(text if len(text) <= width else f"{text[: width - 3]}...")
