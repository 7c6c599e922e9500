"""Rows as sequences of tokens, and the sites where a head looks, for rows that are more than one text and answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

OutputsPer: TypeAlias = Literal["row", "sequence", "token", "window"]
"""What a head makes an output for: a row, which is one sequence; each sequence of a row, such as a choice; some of
a row's tokens, such as the first of each word, whatever sequence they are in; some tokens of each of its sequences,
such as the windows of a long text. With P sites at most, and S sequences, the outputs of n rows are [n, C],
[n, S, C], [n, P, C] or [n, S, P, C].
"""


class Sequences(Protocol):
    """Token ids of sequences, end to end: a `hf_mtl.data.tokens.TokenStore`."""

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each sequence, int32 [S]."""

    def __len__(self) -> int: ...


@dataclass(frozen=True, eq=False)
class RowSites:
    """The sequences of rows, and the sites where a head looks.

    Args:
        per: What an output is made for.
        starts: First sequence of each row, and the end, int64 [n + 1]. No row is without sequences.
        tokens: Which token of its sequence each site is, int32 [U]; None: a site is a sequence, pooled.
        offsets: First site of each sequence, and the end, int64 [S + 1]; None with ``tokens``.
        places: Place of each site among the outputs of its row (or of its sequence, for outputs per window), int32
            [U]; no two have the same. None with ``tokens``, or where they are numbered as they come in the sequence.
    """

    per: OutputsPer
    starts: NDArray[np.int64]
    tokens: NDArray[np.int32] | None = None
    offsets: NDArray[np.int64] | None = None
    places: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def most_sequences(self) -> int:
        """The most sequences that a row has."""
        return int(np.diff(self.starts).max(initial=1))

    @cached_property
    def most_places(self) -> int:
        """One more than the last place of any site; 1 at least."""
        if self.tokens is None or self.offsets is None:
            return 1
        if self.places is None:
            return int(np.diff(self.offsets).max(initial=1))
        return int(self.places.max(initial=0)) + 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a row's outputs without their number C, wide enough for every row."""
        sequences, places = (self.most_sequences,), (self.most_places,)
        return {"row": (), "sequence": sequences, "token": places, "window": sequences + places}[self.per]

    def sequences_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sequences of some rows, in their order."""
        return spans(self.starts, rows)

    def select(self, rows: NDArray[np.int64]) -> "RowSites":
        """Return the sites of some rows, whose sequences are then numbered in this order."""
        sequences = self.sequences_of(rows)
        starts = np.concatenate([[0], np.cumsum(np.diff(self.starts)[rows])])
        if self.tokens is None or self.offsets is None:
            return RowSites(self.per, starts)
        sites = spans(self.offsets, sequences)
        offsets = np.concatenate([[0], np.cumsum(np.diff(self.offsets)[sequences])])
        places = None if self.places is None else self.places[sites]
        return RowSites(self.per, starts, self.tokens[sites], offsets, places)


class LaidOut(NamedTuple):
    """Rows of a task as its encoder reads them.

    Args:
        tokens: Token ids of all sequences, row by row.
        sites: Which sequences are a row's, and where the head looks.
        labels: The labels as the loss reads them, [n, ...]; None: as they were given.
        references: What scores compare predictions with, [n, ...] of any kind; None: the labels.
        notes: What the user should know of what was cut, left out or split, a sentence each.
    """

    tokens: Sequences
    sites: RowSites
    labels: np.ndarray | None = None
    references: np.ndarray | None = None
    notes: Sequence[str] = ()


def spans(offsets: NDArray[np.int64], some: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers from ``offsets[i]`` to ``offsets[i + 1] - 1`` for one i after another.

    Args:
        offsets: Where each span starts, and the end, ascending [n + 1].
        some: Which spans, [m].
    """
    lengths = np.diff(offsets)[some]
    starts = np.cumsum(lengths) - lengths
    # A running number over all, moved for each span from where it stands here to where the span has it.
    found: NDArray[np.int64] = np.arange(int(lengths.sum())) + np.repeat(offsets[:-1][some] - starts, lengths)
    return found
