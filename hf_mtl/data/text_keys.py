"""Hashes of texts, by which the same text is known again in another file, split or task."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from hf_mtl.data.columns import arrow_column, is_list, plain_values
from hf_mtl.data.given_tokens import read_real_tokens
from hf_mtl.data.permutation import derive_key
from hf_mtl.data.texts import is_tokenised, joined
from hf_mtl.tasks import Task

Keys = NDArray[np.uint64]
_ROWS = 100_000  # that are Python's texts at once; they take many times the room of arrow's
# Marks, blanks, and symbols that corpora write, space or leave out in ways of their own. Emoji stay, without the FE0F
# that only colours them.
_BETWEEN_WORDS = r"[\p{P}\p{Sc}\p{Sk}\p{Sm}\p{Z}\p{C}\x{FE0F}]+"


@dataclass(frozen=True)
class TextKeys:
    """The hashes of a split's texts.

    Words, numbers and emoji matter, and their order. Case, punctuation, other symbols, blanks and Unicode's ways to
    write the same characters do not: ``"No," he said.`` and ``" no , " he said .`` are the same text. Words in a list
    are the text that they make. Token ids have hashes of their own: a text and its ids are not known for the same.

    Args:
        texts: Of each of the C texts of a row, uint64 [n, C]: one, or two for pairs.
        places: What says where a row goes when train is carved, uint64 [n]: its text, of several the longest. So
            ``[a, b]``, ``[b, a]``, the longer text alone and pairs that share it go to one side.
        contents: A hash of each row's texts as they are written, uint64 [n].
    """

    texts: Keys
    places: Keys
    contents: Keys

    @property
    def rows(self) -> Keys:
        """Return one hash for each row, uint64 [n]; the order of its texts does not matter."""
        if self.texts.shape[1] == 1:
            return self.texts[:, 0]
        return derive_key(*np.sort(self.texts, axis=1).T)

    def select(self, rows: np.ndarray) -> "TextKeys":
        """Return the keys of some rows, by index or mask."""
        return TextKeys(self.texts[rows], self.places[rows], self.contents[rows])


def text_keys(task: Task, dataset: Dataset) -> TextKeys:
    """Hash the texts of a split, or its token ids where it has these instead.

    Args:
        task: The task, which names the columns.
        dataset: Its rows, checked: none is without text.
    """
    if is_tokenised(task, dataset):
        ids, _ = read_real_tokens(dataset)
        return keys_of_tokens(ids.values, ids.offsets)
    columns = task.told_apart_by(dataset)
    if columns is None:
        columns = [arrow_column(dataset, column) for column in task.text_columns]
    starts = range(0, max(1, len(dataset)), _ROWS)
    parts = [_text_keys([_strings(column.slice(start, _ROWS)) for column in columns]) for start in starts]
    texts = np.concatenate([part.texts for part in parts])
    places = np.concatenate([part.places for part in parts])
    return TextKeys(texts, places, np.concatenate([part.contents for part in parts]))


def _text_keys(columns: list[pa.Array]) -> TextKeys:
    contents = [_hashes(_bytes(column)) for column in columns]
    normalised = [_normalised(column) for column in columns]
    texts = np.stack([_hashes(_bytes(column)) for column in normalised], axis=1)
    if len(columns) == 1:
        return TextKeys(texts, texts[:, 0], contents[0])
    lengths = np.stack([pc.binary_length(column).to_numpy() for column in normalised], axis=1)
    # Of equally long texts the largest hash, so that the order of the columns does not matter.
    longest = lengths == lengths.max(axis=1, keepdims=True)
    return TextKeys(texts, np.where(longest, texts, 0).max(axis=1), derive_key(*contents))


def keys_of_tokens(ids: NDArray[np.integer[Any]], offsets: NDArray[np.integer[Any]]) -> TextKeys:
    """Hash the token ids of rows.

    Args:
        ids: The ids of all rows, end to end.
        offsets: Where each row starts, and the end, [n + 1].
    """
    content = memoryview(ids.astype("<i8").tobytes())
    keys = _hashes(content[start:end] for start, end in pairwise((offsets * 8).tolist()))
    return TextKeys(keys[:, None], keys, keys)


def among(values: Keys, table: Keys) -> NDArray[np.bool_]:
    """Tell which values are in a sorted table, bool [n]."""
    if not len(table):
        return np.zeros(len(values), dtype=bool)
    # In their own order a large table is walked through once; in any other it is jumped about in, many times slower.
    order = np.argsort(values)
    found = np.empty(len(values), dtype=bool)
    ordered = values[order]
    found[order] = table[np.minimum(np.searchsorted(table, ordered), len(table) - 1)] == ordered
    return found


def _strings(texts: pa.Array) -> pa.Array:
    """Return a text column of any type as large strings without nulls; lists of words with blanks between them."""
    texts = plain_values(texts)
    if is_list(texts.type):
        texts = joined(texts)
    return pc.fill_null(texts.cast(pa.large_string()), "")


def _normalised(texts: pa.Array) -> pa.Array:
    """Return the words of texts, in lower case and NFKC, with one blank between them.

    A text without words, such as ``?!``, keeps its marks.
    """
    # Symbols go first: NFKC makes accents of some, which would stick to the word before them.
    words = _lowered(pc.replace_substring_regex(texts, _BETWEEN_WORDS, " "))
    wordless = pc.equal(words, "")
    marks = _lowered(pc.replace_substring_regex(texts.filter(wordless), r"[\p{Z}\p{C}]+", ""))
    return pc.replace_with_mask(words, wordless, marks)


def _lowered(texts: pa.Array) -> pa.Array:
    return pc.utf8_trim(pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC")), " ")


def _bytes(texts: pa.Array) -> list[bytes]:
    found: list[bytes] = texts.cast(pa.large_binary()).to_pylist()
    return found


def _hashes(contents: Iterable[bytes | memoryview]) -> Keys:
    digests = b"".join(hashlib.blake2b(content, digest_size=8).digest() for content in contents)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
