"""Tokens of texts whose words have tags: which token stands for which word, in one sequence or in windows."""

from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from hf_mtl.data.long_texts import cut_long_texts
from hf_mtl.data.tokenize import check_room, longest_row
from hf_mtl.data.tokens import TokenStore
from hf_mtl.data.words import Words
from hf_mtl.errors import DataError, Mistake

_ROWS = 4096  # whose tokens are Python's at once


@dataclass(frozen=True, eq=False)
class WordTokens:
    """The sequences of n rows, and their pieces of words.

    Args:
        tokens: The tokens of each sequence.
        starts: First sequence of each row, and the end, int64 [n + 1].
        pieces: Sequence, token in its sequence and word (of all rows) of each piece that counts, int64 [3, U], in
            the order of sequences and tokens.
        firsts: Which of the pieces is the first that counts of its word, bool [U].
        lost: Words that are cut off, bool [total].
    """

    tokens: TokenStore
    starts: NDArray[np.int64]
    pieces: NDArray[np.int64]
    firsts: NDArray[np.bool_]
    lost: NDArray[np.bool_]

    @property
    def silent(self) -> NDArray[np.bool_]:
        """Tell which words have no piece, and are not cut off, bool [total]."""
        found = ~self.lost
        found[self.pieces[2]] = False
        return found


@dataclass
class _Parts:
    """What was found of one batch of rows after another."""

    sequences: int = 0
    ids: list[NDArray[np.int32]] = field(default_factory=list)
    types: list[NDArray[np.uint8]] = field(default_factory=list)
    lengths: list[NDArray[np.int64]] = field(default_factory=list)
    counts: list[NDArray[np.int64]] = field(default_factory=list)
    cut: list[NDArray[np.bool_]] = field(default_factory=list)
    pieces: list[NDArray[np.int64]] = field(default_factory=list)
    lost: list[NDArray[np.bool_]] = field(default_factory=list)


def word_tokens(
    words: Words, tokenizer: PreTrainedTokenizerBase, max_length: int | None, name: str, windows: bool
) -> WordTokens:
    """Tokenise texts, and find the pieces of each word by their characters.

    The text is tokenised whole, words with a blank between two, so that every tokenizer splits it as in any other
    text, whatever it does with the first word or a word without the blank before it.

    Args:
        words: The words of the rows.
        tokenizer: A tokenizer in Rust, which tells the characters of tokens.
        max_length: Longest sequence in tokens.
        name: The task's name, for mistakes.
        windows: Whether a longer row becomes windows that share half of their tokens, and each word counts where most
            of the text around it is seen. Else it is cut, on the tokenizer's side.

    Raises:
        DataError: If the tokenizer does not tell the characters, or ``max_length`` leaves no room.
    """
    if not tokenizer.is_fast:
        found = f"{type(tokenizer).__name__} does not tell which characters its tokens are of"
        raise DataError(Mistake(f"tasks.{name}.type", found, "Give a tokenizer of the library tokenizers."))
    check_room(tokenizer, max_length, 1)
    limit = longest_row(tokenizer, max_length)
    parts, takes_types = _Parts(), "token_type_ids" in tokenizer.model_input_names
    for start in range(0, len(words), _ROWS):
        _add(parts, words, range(start, min(start + _ROWS, len(words))), tokenizer, limit, windows)
    types = np.concatenate(parts.types) if takes_types else None
    tokens = TokenStore(
        np.concatenate(parts.ids),
        _ends(np.concatenate(parts.lengths)),
        np.concatenate(parts.cut),
        takes_types,
        types if types is not None and types.any() else None,
    )
    pieces = np.concatenate(parts.pieces, axis=1)
    return WordTokens(
        tokens, _ends(np.concatenate(parts.counts)), pieces, _changes(pieces[2]), np.concatenate(parts.lost)
    )


def _add(
    parts: _Parts, words: Words, rows: range, tokenizer: PreTrainedTokenizerBase, limit: int, windows: bool
) -> None:
    whole: list[str] = words.texts.slice(rows.start, len(rows)).to_pylist()
    texts = whole
    if not windows and tokenizer.truncation_side == "right":  # characters are counted from the left
        texts = list(cut_long_texts([whole], tokenizer, limit)[0][0])
    room = limit - tokenizer.num_special_tokens_to_add()
    found = tokenizer(
        texts,
        truncation=True,
        max_length=limit,
        stride=room // 2 if windows else 0,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        return_attention_mask=False,
        return_token_type_ids="token_type_ids" in tokenizer.model_input_names,
    )
    shorter = np.array([len(text) < len(other) for text, other in zip(texts, whole, strict=True)])
    batch = _Batch.of(found, shorter)
    some = slice(words.offsets[rows.start], words.offsets[rows.stop])
    base = words.bases[rows.start : rows.stop]
    ends = words.ends[some] + np.repeat(base, words.counts[rows.start : rows.stop])
    starts = words.starts[some] + np.repeat(base, words.counts[rows.start : rows.stop])
    pieces, lost = batch.pieces(starts, ends, base, windows)
    kept = batch.kept(windows)
    number = np.cumsum(kept) - 1
    in_kept = kept[batch.sequence]
    parts.ids.append(batch.ids[in_kept])
    parts.types.append(batch.types[in_kept])
    parts.lengths.append(batch.lengths[kept])
    parts.counts.append(np.bincount(batch.rows[kept], minlength=len(rows)))
    parts.cut.append(batch.long[batch.rows[kept]] & (not windows))
    parts.pieces.append(
        np.stack([number[pieces[0]] + parts.sequences, pieces[1], pieces[2] + int(words.offsets[rows.start])])
    )
    parts.lost.append(lost)
    parts.sequences += int(kept.sum())


@dataclass(frozen=True, eq=False)
class _Batch:
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
    def of(cls, found: Any, shorter: NDArray[np.bool_]) -> "_Batch":
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
        return np.ones(len(self.rows), dtype=bool) if windows else _changes(self.rows)

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
        first = _changes(sequence[some], word)
        torn = torn[np.maximum.accumulate(np.where(first, np.arange(len(some)), 0))]
        whole = inside & ~torn
        some, word = some[whole], word[whole]
        found = np.stack([sequence[some], token[some], word])
        if windows:
            firsts = _changes(found[0], found[2])
            found = found[:, firsts]
            context = np.minimum(left[some], right[some])[firsts]
            # By word, then by context, and of equal ones the first window; lexsort goes by its last key first.
            order = np.lexsort((found[0], -context, found[2]))
            best = order[_changes(found[2][order])]
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


def _ends(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _changes(*values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell where any of some values differs from the one before, and at the first, bool [n]."""
    found = np.ones(len(values[0]), dtype=bool)
    if len(found):
        found[1:] = np.logical_or.reduce([part[1:] != part[:-1] for part in values])
    return found
