"""Windows of a batch of texts as a tokenizer gives them, and the pieces in them that count for each word."""

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """The sequences of some rows, end to end.

    Args:
        ids: Token ids [N].
        types: Token types [N].
        lengths: Tokens of each sequence [S].
        rows: The row of each sequence [S].
        long: Which rows do not fit into a sequence [n].
        real: Which tokens are of the text [N].
        starts: First character of each token in its text [N].
        ends: The one after the last [N].
    """

    ids: NDArray[np.int32]
    types: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    rows: NDArray[np.int64]
    long: NDArray[np.bool_]
    real: NDArray[np.bool_]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, found: Any, shorter: NDArray[np.bool_]) -> "WindowBatch":
        """Make arrays of what a tokenizer gives.

        Args:
            found: The windows of rows.
            shorter: Rows of which it was not given all [n].
        """
        lengths = np.fromiter(map(len, found["input_ids"]), np.int64, len(found["input_ids"]))
        total = int(lengths.sum())

        def flat(values: Any, dtype: Any) -> np.ndarray:
            return np.fromiter(chain.from_iterable(values), dtype, total)

        characters = chain.from_iterable(chain.from_iterable(found["offset_mapping"]))
        places = np.fromiter(characters, np.int64, 2 * total).reshape(total, 2)
        types = flat(found["token_type_ids"], np.uint8) if "token_type_ids" in found else np.zeros(total, np.uint8)
        real = (flat(found["special_tokens_mask"], np.int8) == 0) & (places[:, 1] > places[:, 0])
        of_row = np.asarray(found["overflow_to_sample_mapping"], dtype=np.int64)
        long = shorter | (np.bincount(of_row, minlength=len(shorter)) > 1)
        ids = flat(found["input_ids"], np.int32)
        return cls(ids, types, lengths, of_row, long, real, places[:, 0], places[:, 1])

    @property
    def sequence(self) -> NDArray[np.int64]:
        """The sequence of each token [N]."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def kept(self, windows: bool) -> NDArray[np.bool_]:
        """Tell which sequences are read: all windows, or the first of each row [S]."""
        return np.ones(len(self.rows), dtype=bool) if windows else changes(self.rows)

    def pieces(
        self, starts: NDArray[np.int64], ends: NDArray[np.int64], base: NDArray[np.int64], windows: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Find the pieces that count, and the words that are cut off.

        Args:
            starts: First character of each word, in a line of all texts.
            ends: The one after its last.
            base: Where each row begins in that line.
            windows: Whether all sequences are read.

        Returns:
            Sequence, token in it and word of each piece, [3, U]; and bool [words].
        """
        sequence = self.sequence
        token = np.arange(len(sequence)) - np.repeat(np.cumsum(self.lengths) - self.lengths, self.lengths)
        some = np.flatnonzero(self.real & self.kept(windows)[sequence])
        if not len(some) or not len(starts):
            return np.zeros((3, 0), dtype=np.int64), np.zeros(len(starts), dtype=bool)
        line = base[self.rows[sequence]]
        begin, stop = self.starts + line, self.ends + line
        word = np.searchsorted(ends, begin[some], side="right")
        inside = (word < len(starts)) & (starts[np.minimum(word, len(starts) - 1)] < stop[some])
        left, right = self._context(sequence, token, begin, stop)
        # The first piece in a window whose left part is cut may be the middle of a word.
        torn = (left[some] == 0) & (begin[some] > starts[np.minimum(word, len(starts) - 1)])
        first = changes(sequence[some], word)
        torn = torn[np.maximum.accumulate(np.where(first, np.arange(len(some)), 0))]
        whole = inside & ~torn
        some, word = some[whole], word[whole]
        found = np.stack([sequence[some], token[some], word])
        if windows:
            firsts = changes(found[0], found[2])
            found = found[:, firsts]
            context = np.minimum(left[some], right[some])[firsts]
            # By word, then by context, and of equal ones the first window; lexsort goes by its last key first.
            order = np.lexsort((found[0], -context, found[2]))
            best = order[changes(found[2][order])]
            return found[:, np.sort(best)], np.zeros(len(starts), dtype=bool)
        return found, self._lost(starts, ends, base, begin, stop, found[2])

    def _context(
        self, sequence: NDArray[np.int64], token: NDArray[np.int64], begin: NDArray[np.int64], stop: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Count the text's tokens before and behind each token in its sequence; infinite where no text is cut off."""
        real = np.flatnonzero(self.real)
        of, count, rows = sequence[real], len(self.lengths), len(self.long)
        first, last = np.full(count, np.iinfo(np.int64).max), np.zeros(count, dtype=np.int64)
        np.minimum.at(first, of, token[real])
        np.maximum.at(last, of, token[real])
        low, high = np.full(count, np.iinfo(np.int64).max), np.zeros(count, dtype=np.int64)
        np.minimum.at(low, of, begin[real])
        np.maximum.at(high, of, stop[real])
        row_low, row_high = np.full(rows, np.iinfo(np.int64).max), np.zeros(rows, dtype=np.int64)
        np.minimum.at(row_low, self.rows, low)
        np.maximum.at(row_high, self.rows, high)
        left = np.where((low > row_low[self.rows])[sequence], token - first[sequence], np.inf)
        right = np.where((high < row_high[self.rows])[sequence], last[sequence] - token, np.inf)
        return left, right

    def _lost(
        self,
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        base: NDArray[np.int64],
        begin: NDArray[np.int64],
        stop: NDArray[np.int64],
        found: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Find the words of rows that were cut of which nothing is left."""
        there = np.zeros(len(starts), dtype=bool)
        there[found] = True
        kept = np.flatnonzero(self.real & self.kept(False)[self.sequence])
        of_row = self.rows[self.sequence[kept]]
        low, high = np.full(len(base), np.iinfo(np.int64).max), np.zeros(len(base), dtype=np.int64)
        np.minimum.at(low, of_row, begin[kept])
        np.maximum.at(high, of_row, stop[kept])
        row = np.searchsorted(base, starts, side="right") - 1
        return ~there & self.long[row] & ((ends > high[row]) | (starts < low[row]))


def changes(*values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell where any of some values differs from the one before, and at the first, bool [n]."""
    found = np.ones(len(values[0]), dtype=bool)
    if len(found):
        found[1:] = np.logical_or.reduce([part[1:] != part[:-1] for part in values])
    return found
