"""Token ids of many rows in flat arrays, padded to a rectangle only when a batch is made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hf_mtl.tasks.layout import RowSites, spans

_ODD = np.uint64(0x9E3779B97F4A7C15)
_GLANCE = 7
"""Equal parts of a row at whose ends `TokenStore.glances` looks."""


class FlatRows(NamedTuple):
    """Tokens of some rows, end to end.

    Args:
        ids: Token ids, int64 [N].
        lengths: Tokens of each row, int32 [n].
        type_ids: Token types, int64 [N]; None where the model takes none.
    """

    ids: np.ndarray
    lengths: np.ndarray
    type_ids: np.ndarray | None


@dataclass(frozen=True, eq=False)
class TokenStore:
    """Token ids of n rows, end to end.

    A handful of arrays however many rows there are: cheap to hand to a DataLoader's worker.

    Args:
        flat_ids: Token ids of all rows, int32 [total].
        offsets: Where each row starts, and the end, int64 [n + 1].
        cut: Rows that were truncated, bool [n].
        takes_type_ids: Whether the model takes token types.
        flat_type_ids: Token types, uint8 [total]; None where they are all 0.
    """

    flat_ids: np.ndarray
    offsets: np.ndarray
    cut: np.ndarray
    takes_type_ids: bool = False
    flat_type_ids: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """Return the tokens of each row, int32 [n]."""
        return np.diff(self.offsets).astype(np.int32)

    @property
    def truncated(self) -> int:
        """Return the number of rows that were truncated."""
        return int(self.cut.sum())

    @property
    def total_tokens(self) -> int:
        """Return the number of tokens in all rows."""
        return int(self.offsets[-1])

    def ids(self, row: int) -> np.ndarray:
        """Return the token ids of one row, a view."""
        return self.flat_ids[self._span(row)]

    def type_ids(self, row: int) -> np.ndarray | None:
        """Return the token types of one row, or None where the model takes none."""
        if not self.takes_type_ids:
            return None
        if self.flat_type_ids is None:
            return np.zeros(int(self.lengths[row]), dtype=np.uint8)
        return self.flat_type_ids[self._span(row)]

    def content(self, row: int) -> bytes:
        """Return what the encoder sees of a row, equal for equal rows of different stores."""
        span = self._span(row)
        ids = self.flat_ids[span]
        # Types that end in 0 lose these: a store that has no types keeps none for the same row.
        types = b"" if self.flat_type_ids is None else self.flat_type_ids[span].tobytes().rstrip(b"\0")
        # The length first, so that no id can be taken for types, nor types for ids.
        return len(ids).to_bytes(4, "little") + ids.tobytes() + types

    def flat(self, rows: Sequence[int] | np.ndarray) -> "FlatRows":
        """Return the tokens of some rows, end to end."""
        rows = np.asarray(rows, dtype=np.int64)
        source = self._positions(rows)
        types = None
        if self.takes_type_ids:
            zeros = np.zeros(len(source), dtype=np.int64)
            types = zeros if self.flat_type_ids is None else self.flat_type_ids[source].astype(np.int64)
        return FlatRows(self.flat_ids[source].astype(np.int64), self.lengths[rows], types)

    def glances(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return a number for each of some rows as `marks` does, from a few of its tokens only, uint64 [n]."""
        rows = np.asarray(rows, dtype=np.int64)
        lengths = self.lengths[rows].astype(np.int64)
        found: np.ndarray = lengths.astype(np.uint64) * _ODD
        some = lengths > 0
        if some.any():
            within = (lengths[some] - 1)[:, None] * np.arange(_GLANCE + 1) // _GLANCE
            seen = self.flat_ids[self.offsets[:-1][rows[some], None] + within].astype(np.uint64)
            found[some] += seen @ np.cumprod(np.full(_GLANCE + 1, _ODD, dtype=np.uint64))
        return found

    def marks(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return a number for each of some rows that is equal for rows of equal token ids, in any store, uint64 [n].

        Rows that differ have equal numbers only by chance, or where nothing but their token types differs.
        """
        rows = np.asarray(rows, dtype=np.int64)
        lengths = self.lengths[rows].astype(np.int64)
        starts = np.cumsum(lengths) - lengths
        within = np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
        # A polynomial in an odd number, modulo 2^64: the place of an id counts.
        powers = np.cumprod(np.full(int(lengths.max(initial=1)), _ODD, dtype=np.uint64))
        terms = (self.flat_ids[self._positions(rows)].astype(np.uint64) + np.uint64(1)) * powers[within]
        return np.asarray(np.add.reduceat(terms, starts), dtype=np.uint64)

    def select(self, rows: Sequence[int] | np.ndarray) -> "TokenStore":
        """Return some of the rows, copied."""
        rows = np.asarray(rows, dtype=np.int64)
        source = self._positions(rows)
        types = None if self.flat_type_ids is None else self.flat_type_ids[source]
        offsets = np.concatenate([[0], np.cumsum(self.lengths[rows], dtype=np.int64)])
        return TokenStore(self.flat_ids[source], offsets, self.cut[rows], self.takes_type_ids, types)

    def _span(self, row: int) -> slice:
        # A range refuses rows beyond the last, and counts negative ones from the end.
        row = range(len(self))[row]
        return slice(int(self.offsets[row]), int(self.offsets[row + 1]))

    def _positions(self, rows: np.ndarray) -> np.ndarray:
        """Return the flat position of every token of the rows, in their order."""
        return spans(self.offsets, rows)


@dataclass(frozen=True, eq=False)
class EncodedSplit:
    """A split ready for training.

    Args:
        tokens: Its token ids.
        labels: Class ids int64 [n], targets float64 [n, D], or which of several labels int8 [n, L].
        labelled: False for rows to predict only, whose labels mean nothing.
        missing: Rows without a label, bool [n], whose class id is -100 or whose targets hold NaN: they are predicted
            and not scored. None: there are none.
        masses: Mass of each row, numbers from 0 on [n]: in how many units its loss is counted, see
            `hf_mtl.tasks.Task.masses`. None: 1 each.
        weights: Weight of each row as it was given, NaN of rows without a label, float64 [n]: of training rows what
            their losses are multiplied by, of scored rows what they weigh in metrics. None: 1 each.
        sites: The sequences of each row, and where the head looks. None: a row is one sequence, and has one output.
        references: What scores compare predictions with, [n, ...]. None: the labels.
        source: What their texts were read from, equal for tasks that share them; None: they are the task's own.
    """

    tokens: TokenStore
    labels: np.ndarray
    labelled: bool = True
    missing: np.ndarray | None = None
    masses: np.ndarray | None = None
    weights: np.ndarray | None = None
    sites: RowSites | None = None
    references: np.ndarray | None = None
    source: str | None = None

    def __len__(self) -> int:
        return len(self.tokens) if self.sites is None else len(self.sites)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Return the tokens of each row, in all its sequences, int32 [n]."""
        if self.sites is None:
            return self.tokens.lengths
        return np.diff(self.tokens.offsets[self.sites.starts]).astype(np.int32)

    @cached_property
    def truncated(self) -> int:
        """Return the number of rows of which something was cut off."""
        if self.sites is None:
            return self.tokens.truncated
        return int(np.logical_or.reduceat(self.tokens.cut, self.sites.starts[:-1]).sum()) if len(self) else 0

    @property
    def scored_against(self) -> np.ndarray:
        """Return what scores compare predictions with, [n, ...]."""
        return self.labels if self.references is None else self.references

    def sequences_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the sequences of some rows, in their order, int64."""
        return rows if self.sites is None else self.sites.sequences_of(rows)

    @property
    def scored(self) -> np.ndarray:
        """Return the rows that have a label, and a weight that is not 0, by index."""
        if self.missing is None:
            return np.arange(len(self) if self.labelled else 0)
        return np.flatnonzero(~self.missing)

    def filled(self) -> "EncodedSplit":
        """Return the same rows with stand-ins for missing labels, so that the losses of the others can be computed,
        and without weights: what they weigh is for the scores to say.
        """
        if self.missing is None:
            return replace(self, weights=None)
        labels = self.labels.copy()
        # Any label with a finite loss will do: the losses of these rows are thrown away.
        labels[self.missing] = 0
        return replace(self, labels=labels, weights=None)

    def select(self, rows: Sequence[int] | np.ndarray) -> "EncodedSplit":
        """Return some of the rows."""
        rows = np.asarray(rows, dtype=np.int64)

        def of(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[rows]

        return EncodedSplit(
            self.tokens.select(self.sequences_of(rows)),
            self.labels[rows],
            self.labelled,
            of(self.missing),
            of(self.masses),
            of(self.weights),
            None if self.sites is None else self.sites.select(rows),
            of(self.references),
            self.source,
        )
