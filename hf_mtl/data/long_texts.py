"""Cuts of very long texts before they are tokenised, only where the tokens that are kept stay the same."""

import re
from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

# A text is long where it has many times the characters that its tokens can have: others are tokenised whole.
_LONG = 64  # characters a token
_LEAST = 1 << 16  # characters
_FIRST = 16  # characters a token, of the first part that is tried
_MOST = 1 << 20  # characters, at least: one word of 100 MB takes minutes and gigabytes, and is one unknown token
_BOTH = 8  # characters a token that both texts of a pair have, at least
_BLANK = re.compile(r"\s")


def cut_long_texts(
    texts: Sequence[list[str]], tokenizer: PreTrainedTokenizerBase, limit: int
) -> tuple[Sequence[list[str]], list[bool]]:
    """Take off the far end of very long texts, so that tokenising 100 MB to keep 512 tokens takes no minute.

    What a tokenizer makes of a text depends on what follows for a few characters only: a word is complete where the
    blank after it is seen, merges and paths settle within some tokens. So the first ``limit`` tokens of a part are
    those of the whole text if the part ends before a blank and has twice as many, and more than the other text of
    its pair, which decides where a pair is cut.

    Where both texts of a pair are cut, Rust makes every window of what is cut off the one beside each of the other:
    gigabytes for two texts of 3,000 words. There much shorter texts are cut too.

    Args:
        texts: The first texts of all rows, and in pairs their second ones.
        tokenizer: The tokenizer.
        limit: Tokens that are kept of a row, at most.

    Returns:
        The same texts, the very long ones shorter; and whether a row has a text of which even a million characters
        have fewer tokens, and the rest is left out all the same. For other rows, truncation to ``limit`` gives the
        same token ids as before.
    """
    longest, rows = max(_LEAST, _LONG * limit), list(zip(*texts, strict=True))
    both = _BOTH * limit if len(texts) == 2 and tokenizer.is_fast else longest
    if not any(max(map(len, row)) > longest or min(map(len, row)) > both for row in rows):
        return texts, [False] * len(rows)
    cut, left_out = list(rows), [False] * len(rows)
    for place, row in enumerate(rows):
        if max(map(len, row)) > longest:
            cut[place], left_out[place] = _cut_row(row, tokenizer, limit)
        if min(map(len, cut[place])) > both:
            cut[place] = _cut_both(cut[place], tokenizer, limit)
    return [list(column) for column in zip(*cut, strict=True)], left_out


def _cut_row(row: tuple[str, ...], tokenizer: PreTrainedTokenizerBase, limit: int) -> tuple[tuple[str, ...], bool]:
    # The shorter one first: the longer one has to have more tokens than that.
    least, cut, left_out = 2 * limit, list(row), False
    for place in sorted(range(len(row)), key=lambda place: len(row[place])):
        cut[place], tokens = _cut(row[place], tokenizer, least)
        left_out |= tokens <= least and len(cut[place]) < len(row[place])
        least = max(least, tokens + limit)
    return tuple(cut), left_out


def _cut(text: str, tokenizer: PreTrainedTokenizerBase, least: int) -> tuple[str, int]:
    """Return the part of a text that is read first, with more than ``least`` tokens where it has them, and its
    tokens.
    """
    size, most = max(_LEAST // 4, _FIRST * least), max(_MOST, _LONG * least)
    while True:
        part = text if size >= len(text) else _part(text, size, tokenizer.truncation_side == "left")
        tokens = len(tokenizer(part, add_special_tokens=False, truncation=False, verbose=False)["input_ids"])
        if tokens > least or size >= min(len(text), most):
            return part, tokens
        size = min(8 * size, most)


def _part(text: str, size: int, at_the_end: bool) -> str:
    """Take about so many characters of a text, up to a blank where one is near."""
    if at_the_end:
        start = len(text) - size
        blank = next((place for place in range(start, start + size // 4) if text[place].isspace()), start)
        return text[blank:]
    blank = next((place for place in range(size, size - size // 4, -1) if text[place].isspace()), size)
    return text[:blank]


def _cut_both(row: tuple[str, ...], tokenizer: PreTrainedTokenizerBase, limit: int) -> tuple[str, ...]:
    """Take off the far ends of two long texts, of which half of ``limit`` tokens is kept each."""
    found = tokenizer(list(row), add_special_tokens=False, truncation=False, verbose=False).encodings or ()
    if min(map(len, found), default=0) <= limit:
        return row  # little of one of them is cut off, and little more may be kept of the other
    least, cut = limit, list(row)
    # The one of fewer tokens first, of equal ones the first: the other, which may keep one more, stays longer.
    for place in sorted(range(len(row)), key=lambda place: len(found[place])):
        cut[place], tokens = _near_end(row[place], found[place], least, limit, tokenizer.truncation_side == "left")
        least = tokens + limit // 2
    return tuple(cut)


def _near_end(text: str, encoding: Any, least: int, more: int, at_the_end: bool) -> tuple[str, int]:
    """Return the part of a text that is read first, up to a blank, and its tokens: ``least``, or some ``more``."""
    count = len(encoding)
    if count <= least + more:
        return text, count
    offsets = encoding.offsets
    if at_the_end:
        low, high = offsets[count - least - more][0], offsets[count - least][0]
        blank = next((place for place in range(high - 1, low, -1) if text[place].isspace()), high)
        return text[blank:], sum(start >= blank for start, _ in offsets)
    low, high = offsets[least - 1][1], offsets[least + more - 1][1]
    found = _BLANK.search(text, low, high)
    end = found.start() if found else low
    return text[:end], sum(stop <= end for _, stop in offsets)
