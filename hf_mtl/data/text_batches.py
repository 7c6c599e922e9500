"""Tokenising by batches: the tokenizer has every core while the batch before becomes arrays."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from hf_mtl.data.long_texts import cut_long_texts
from hf_mtl.data.tokens import TokenStore
from hf_mtl.tasks.layout import spans

ROWS = 8192
"""Rows that are tokenised together: enough for many cores, and so few that their tokens take little memory."""

Strategy: TypeAlias = Literal["longest_first", "only_first"]
"""Where a row that is too long is cut, in the words of transformers."""

Cut: TypeAlias = Callable[
    [Sequence[list[str]], PreTrainedTokenizerBase, int], Sequence[tuple[Strategy, Sequence[int] | None]]
]
"""Says of the texts of rows, a tokenizer and a limit how which rows are cut; None: all rows."""


def cut_longest(
    texts: Sequence[list[str]], tokenizer: PreTrainedTokenizerBase, limit: int
) -> Sequence[tuple[Strategy, Sequence[int] | None]]:
    """Cut every row at its longer text."""
    return [("longest_first", None)]


@dataclass(frozen=True, eq=False)
class TextBatch:
    """Token ids of some rows, end to end.

    Args:
        ids: Token ids, int32 [total].
        types: Token types, uint8 [total]; None where the model takes none.
        lengths: Tokens of each row, int64 [n].
        cut: Rows that were truncated, bool [n].
    """

    ids: NDArray[np.int32]
    types: NDArray[np.uint8] | None
    lengths: NDArray[np.int64]
    cut: NDArray[np.bool_]


def text_batches(
    columns: Sequence[pa.Array], tokenizer: PreTrainedTokenizerBase, limit: int, takes_types: bool
) -> Iterator[TextBatch]:
    """Tokenise rows, in their order; see `tokenised`.

    Args:
        columns: The texts of the rows, and in pairs their second ones.
        tokenizer: The tokenizer.
        limit: Longest row in tokens; longer pairs are cut at their longer text.
        takes_types: Whether the model takes token types.
    """
    starts = range(0, len(columns[0]), ROWS)
    parts = ([column.slice(start, ROWS).to_pylist() for column in columns] for start in starts)
    yield from tokenised(parts, tokenizer, limit, takes_types)


def tokenised(
    parts: Iterable[Sequence[list[str]]],
    tokenizer: PreTrainedTokenizerBase,
    limit: int,
    takes_types: bool,
    cut: Cut = cut_longest,
) -> Iterator[TextBatch]:
    """Tokenise some rows after others, the next ones while the last become arrays.

    The tokenizers of Hugging Face that are written in Rust use all cores, unless ``TOKENIZERS_PARALLELISM`` is false.
    No process is forked.

    Args:
        parts: The first texts of some rows, and in pairs their second ones.
        tokenizer: The tokenizer.
        limit: Longest row in tokens.
        takes_types: Whether the model takes token types.
        cut: Says where rows that are longer are cut.
    """
    # One thread, not more: a tokenizer keeps its truncation for all who use it.
    with ThreadPoolExecutor(1, "hf_mtl-tokenise") as thread:
        ahead: Future[Callable[[], TextBatch]] | None = None
        for texts in parts:
            coming = thread.submit(_tokenise, texts, tokenizer, limit, takes_types, cut)
            if ahead is not None:
                yield ahead.result()()
            ahead = coming
        if ahead is not None:
            yield ahead.result()()


def _tokenise(
    texts: Sequence[list[str]], tokenizer: PreTrainedTokenizerBase, limit: int, takes_types: bool, cut: Cut
) -> Callable[[], TextBatch]:
    """Tokenise rows, and leave what makes arrays of them to another thread."""
    texts, left_out = cut_long_texts(texts, tokenizer, limit)
    parts = []
    for strategy, rows in cut(texts, tokenizer, limit):
        if rows is None:
            return _tokenise_alike(texts, left_out, tokenizer, limit, takes_types, strategy)
        some = [[column[row] for row in rows] for column in texts]
        outside = [left_out[row] for row in rows]
        parts.append((rows, _tokenise_alike(some, outside, tokenizer, limit, takes_types, strategy)))
    return lambda: _in_order([(rows, made()) for rows, made in parts])


def _tokenise_alike(
    texts: Sequence[list[str]],
    left_out: Sequence[bool],
    tokenizer: PreTrainedTokenizerBase,
    limit: int,
    takes_types: bool,
    strategy: Strategy,
) -> Callable[[], TextBatch]:
    """Tokenise rows that are all cut in the same way."""
    options: dict[str, Any] = {"return_attention_mask": False, "return_token_type_ids": takes_types}
    cutting = {"truncation": strategy, "max_length": limit}
    if _is_rust_alone(tokenizer):
        # This call has the tokenizer tell Rust how to truncate. It would take longer than Rust for all rows.
        tokenizer(*(column[:1] for column in texts), **options, **cutting)
        rows = texts[0] if len(texts) == 1 else list(zip(*texts, strict=True))
        return partial(_from_rust, tokenizer.backend_tokenizer.encode_batch_fast(rows), takes_types, left_out)
    encoded = tokenizer(*texts, **options, **cutting)
    if tokenizer.is_fast:
        cut = [bool(encoding.overflowing) for encoding in encoded.encodings]
    else:
        # A tokenizer in Python does not say which rows it has cut.
        whole = tokenizer(*texts, truncation=False, verbose=False, **options)["input_ids"]
        cut = [len(row) > limit for row in whole]
    return partial(_flat, encoded["input_ids"], encoded["token_type_ids"] if takes_types else None, cut, left_out)


def _in_order(parts: Sequence[tuple[Sequence[int], TextBatch]]) -> TextBatch:
    """Put rows that were tokenised apart back in their order."""
    rows = np.concatenate([some for some, _ in parts])
    order = np.argsort(rows)
    lengths = np.concatenate([batch.lengths for _, batch in parts])
    tokens = spans(np.concatenate([[0], np.cumsum(lengths)]), order)
    types = [batch.types for _, batch in parts if batch.types is not None]
    return TextBatch(
        np.concatenate([batch.ids for _, batch in parts])[tokens],
        np.concatenate(types)[tokens] if types else None,
        lengths[order],
        np.concatenate([batch.cut for _, batch in parts])[order],
    )


_BATCH_OF = {name: getattr(PreTrainedTokenizerFast, name) for name in ("__call__", "_encode_plus")}


def _is_rust_alone(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether what becomes of a text is decided in Rust: the tokenizer's class adds nothing of its own."""
    own = type(tokenizer)
    return tokenizer.is_fast and all(getattr(own, name, None) is theirs for name, theirs in _BATCH_OF.items())


def token_counts(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> NDArray[np.int64]:
    """Count the tokens of each text, whole and without special ones, [n]."""
    options: dict[str, Any] = {"add_special_tokens": False, "truncation": False, "verbose": False}
    if _is_rust_alone(tokenizer):
        tokenizer(texts[:1], **options)  # which tells Rust not to cut, and how to read what looks special
        found = tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    else:
        found = tokenizer(texts, return_attention_mask=False, **options)["input_ids"]
    return np.fromiter(map(len, found), np.int64, len(found))


def _from_rust(encodings: Sequence[Any], takes_types: bool, left_out: Sequence[bool]) -> TextBatch:
    types = [encoding.type_ids for encoding in encodings] if takes_types else None
    cut = [bool(encoding.overflowing) for encoding in encodings]
    return _flat([encoding.ids for encoding in encodings], types, cut, left_out)


def _flat(
    ids: Sequence[Sequence[int]],
    types: Sequence[Sequence[int]] | None,
    cut: Sequence[bool],
    left_out: Sequence[bool],
) -> TextBatch:
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    total = int(lengths.sum())
    return TextBatch(
        ids=np.fromiter(chain.from_iterable(ids), np.int32, total),
        types=None if types is None else np.fromiter(chain.from_iterable(types), np.uint8, total),
        lengths=lengths,
        cut=np.array(cut, dtype=bool) | np.array(left_out, dtype=bool),
    )


def gather_batches(batches: Iterable[TextBatch], takes_types: bool) -> TokenStore:
    """Put rows end to end in memory."""
    found = list(batches)
    ids, cut = np.concatenate([batch.ids for batch in found]), np.concatenate([batch.cut for batch in found])
    lengths = np.concatenate([batch.lengths for batch in found])
    types = [batch.types for batch in found if batch.types is not None]
    # A store takes None for types that are all 0: they need no room.
    kept = np.concatenate(types) if any(item.any() for item in types) else None
    return TokenStore(ids, np.concatenate([[0], np.cumsum(lengths)]), cut, takes_types, kept)
