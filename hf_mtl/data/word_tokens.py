"""Tokens of texts whose words have tags: which token stands for which word, in one sequence or in windows."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from hf_mtl.data.long_texts import cut_long_texts
from hf_mtl.data.tokenize import check_room, longest_row
from hf_mtl.data.tokens import TokenStore
from hf_mtl.data.word_pieces import WindowBatch, changes
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
        tokens, _ends(np.concatenate(parts.counts)), pieces, changes(pieces[2]), np.concatenate(parts.lost)
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
    batch = WindowBatch.of(found, shorter)
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


def _ends(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
