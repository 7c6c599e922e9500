"""Questions with their contexts as windows of tokens: as many as a long context needs, overlapping."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from hf_mtl.data.tokenize import check_room, longest_row
from hf_mtl.data.tokens import TokenStore
from hf_mtl.errors import DataError, Mistake
from hf_mtl.tasks.layout import RowSites

_ROWS = 1024  # of which all characters of all tokens are Python's at once
_MOST_STRIDE = 128
_RETRIES = 8


class WindowOptions(NamedTuple):
    """Sizes of windows, in tokens.

    Args:
        max_length: Longest window; None: what the tokenizer says.
        max_question: Longest question; longer ones are cut, also where they would take more than half of a window.
        stride: Tokens of the context that a window shares with the one before; None: 128, or half of what the longest
            question leaves where that is less.
    """

    max_length: int | None
    max_question: int
    stride: int | None


@dataclass(frozen=True, eq=False)
class ContextWindows:
    """The windows of rows.

    Args:
        tokens: Their token ids.
        sites: Those of the first token and of the tokens of the context, in this order.
        characters: Of each window first character and end of its tokens of the context, by row.
        cut: Rows whose question was cut, bool [n].
        longest_question: Tokens that a question may have.
    """

    tokens: TokenStore
    sites: RowSites
    characters: list[tuple[NDArray[np.int32], ...]]
    cut: NDArray[np.bool_]
    longest_question: int


class _Window(NamedTuple):
    """A window: its row, its tokens, their types, and where and what its tokens of the context are."""

    row: int
    ids: Sequence[int]
    types: Sequence[int]
    first: int
    characters: NDArray[np.int32]


def context_windows(
    name: str,
    questions: Sequence[str],
    contexts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    options: WindowOptions,
) -> ContextWindows:
    """Turn questions and contexts into windows; the tokenizer decides which of the two comes first, as in
    transformers: the question where it pads on the right.

    Args:
        name: The task's name, for mistakes.
        questions: The questions.
        contexts: Their contexts.
        tokenizer: The tokenizer.
        options: Sizes of the windows.

    Raises:
        DataError: If the tokenizer cannot tell characters of tokens, puts no token before the texts, or has no room.
    """
    _check_tokenizer(name, tokenizer)
    limit, longest, stride = window_sizes(name, tokenizer, options)
    asked, cut = _cut_questions(questions, tokenizer, longest)
    windows: list[_Window] = []
    for start in range(0, len(contexts), _ROWS):
        part = slice(start, start + _ROWS)
        windows.extend(_windows(start, asked[part], contexts[part], tokenizer, (limit, stride)))
    rows = np.fromiter((window.row for window in windows), np.int64, len(windows))
    starts = np.searchsorted(rows, np.arange(len(contexts) + 1))
    characters = [
        tuple(window.characters for window in windows[start:end])
        for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    ]
    return ContextWindows(_store(windows, tokenizer), _sites(windows, starts), characters, cut, longest)


def window_sizes(name: str, tokenizer: PreTrainedTokenizerBase, options: WindowOptions) -> tuple[int, int, int]:
    """Return the most tokens of a window, and of a question, and those that two windows of a context share.

    They depend on no rows, so that all splits have the same.

    Raises:
        DataError: If windows would not come forward.
    """
    check_room(tokenizer, options.max_length, 2)
    limit = longest_row(tokenizer, options.max_length)
    room = limit - tokenizer.num_special_tokens_to_add(pair=True)
    longest = min(options.max_question, room // 2)
    left = room - longest
    stride = min(_MOST_STRIDE, left // 2) if options.stride is None else options.stride
    if stride >= left:
        found = (
            f"{stride}, and a window of {limit} tokens has room for {left} of the context beside a question of "
            f"{longest} (max_question_length)"
        )
        remedy = f"Allowed: up to {left - 1}; or raise model.max_length, or lower max_question_length."
        raise DataError(Mistake(f"tasks.{name}.doc_stride", found, remedy))
    return limit, longest, stride


def _check_tokenizer(name: str, tokenizer: Any) -> None:
    key, kind = f"tasks.{name}.type", type(tokenizer).__name__
    if not getattr(tokenizer, "is_fast", False):
        problem = f"span_extraction needs to know the characters of each token, which the slow {kind} does not tell"
        raise DataError(Mistake(key, problem, "Use the fast tokenizer of the backbone (use_fast=True)"))
    found = tokenizer("a", "a", return_special_tokens_mask=True)["special_tokens_mask"]
    if not found or not found[0]:
        problem = f"{kind} puts no token of its own before the texts, which span_extraction needs to say 'no answer'"
        raise DataError(Mistake(key, problem, "Use a backbone whose rows begin with one, such as [CLS] or <s>"))


def _cut_questions(
    questions: Sequence[str], tokenizer: PreTrainedTokenizerBase, longest: int
) -> tuple[list[str], NDArray[np.bool_]]:
    """Cut questions of too many tokens at the end of a token."""
    found, cut = list(questions), np.zeros(len(questions), dtype=bool)
    todo: Sequence[int] = range(len(found))
    for _ in range(_RETRIES):  # what is left of a word may have more tokens than it had in it
        again: list[int] = []
        for place in range(0, len(todo), _ROWS):
            rows = todo[place : place + _ROWS]
            encoded = tokenizer([found[row] for row in rows], add_special_tokens=False, verbose=False).encodings
            for row, encoding in zip(rows, encoded or (), strict=True):
                if len(encoding) > longest:
                    start, end = encoding.offsets[longest - 1]
                    # Several tokens may be bytes of one character, which goes as a whole.
                    found[row] = found[row][: end if end < len(found[row]) else start]
                    again.append(row)
        cut[again] = True
        if not again:
            break
        todo = again
    return found, cut


def _windows(
    start: int,
    questions: Sequence[str],
    contexts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    sizes: tuple[int, int],
) -> Iterator[_Window]:
    """Make the windows of some rows, in their order."""
    limit, stride = sizes
    question_first = tokenizer.padding_side == "right"
    texts = (questions, contexts) if question_first else (contexts, questions)
    encoded = tokenizer(
        *map(list, texts),
        truncation="only_second" if question_first else "only_first",
        max_length=limit,
        stride=stride,
        padding=False,
        return_overflowing_tokens=True,
        return_attention_mask=False,
        verbose=False,
    )
    assert encoded.encodings is not None  # the tokenizer is a fast one
    which = int(question_first)
    for row, encoding in zip(encoded["overflow_to_sample_mapping"], encoded.encodings, strict=True):
        sequence = encoding.sequence_ids
        count = sequence.count(which)
        first = sequence.index(which) if count else 0
        characters = np.array(encoding.offsets[first : first + count], dtype=np.int32).reshape(-1, 2)
        yield _Window(start + row, encoding.ids, encoding.type_ids, first, characters)


def _store(windows: Sequence[_Window], tokenizer: PreTrainedTokenizerBase) -> TokenStore:
    lengths = np.fromiter((len(window.ids) for window in windows), np.int64, len(windows))
    total, takes_types = int(lengths.sum()), "token_type_ids" in tokenizer.model_input_names
    ids = np.fromiter(chain.from_iterable(window.ids for window in windows), np.int32, total)
    types = None
    if takes_types:
        types = np.fromiter(chain.from_iterable(window.types for window in windows), np.uint8, total)
        types = types if types.any() else None  # types that are all 0 need no room
    # Nothing of a context is cut off: other windows hold it.
    offsets, cut = np.concatenate([[0], np.cumsum(lengths)]), np.zeros(len(windows), dtype=bool)
    return TokenStore(ids, offsets, cut, takes_types, types)


def _sites(windows: Sequence[_Window], starts: NDArray[np.int64]) -> RowSites:
    counts = np.fromiter((len(window.characters) for window in windows), np.int64, len(windows))
    firsts = np.fromiter((window.first for window in windows), np.int64, len(windows))
    offsets = np.concatenate([[0], np.cumsum(counts + 1)])
    # The number of each site in its window: 0 is the first token, and then come those of the context.
    number = np.arange(int(offsets[-1])) - np.repeat(offsets[:-1], counts + 1)
    tokens = np.where(number == 0, 0, np.repeat(firsts, counts + 1) + number - 1)
    return RowSites("window", starts.astype(np.int64), tokens.astype(np.int32), offsets)
