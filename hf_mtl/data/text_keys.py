"""Hashes of texts, by which the same text is known again in another file, split or task."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from hf_mtl.data.columns import arrow_column, plain_values
from hf_mtl.data.given_tokens import read_real_tokens
from hf_mtl.data.permutation import derive_key
from hf_mtl.data.texts import is_tokenised
from hf_mtl.tasks import Task

Keys = NDArray[np.uint64]
_ROWS = 100_000  # that are Python's texts at once; they take many times the room of arrow's


@dataclass(frozen=True)
class TextKeys:
    """The hashes of a split's texts.

    Case, blanks and Unicode's ways to write the same characters do not matter. Token ids have hashes of their own:
    a text and its token ids are not known for the same.

    Args:
        texts: Of each text of a row, uint64 [n, 1], or [n, 2] for pairs.
        places: What says where a row goes when train is carved, uint64 [n]: its text, of a pair the longer one. So
            ``[a, b]``, ``[b, a]``, the longer text alone and pairs that share it go to one side.
        contents: A hash of each row's texts as they are written, uint64 [n].
    """

    texts: Keys
    places: Keys
    contents: Keys

    @property
    def rows(self) -> Keys:
        """Return one hash for each row, uint64 [n]; the order of a pair does not matter."""
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
        keys = _token_keys(dataset)
        return TextKeys(keys[:, None], keys, keys)
    columns = [arrow_column(dataset, column) for column in task.text_columns]
    starts = range(0, max(1, len(dataset)), _ROWS)
    parts = [_text_keys([_strings(column.slice(start, _ROWS)) for column in columns]) for start in starts]
    texts = np.concatenate([part.texts for part in parts])
    places = np.concatenate([part.places for part in parts])
    return TextKeys(texts, places, np.concatenate([part.contents for part in parts]))


def _text_keys(columns: list[pa.Array]) -> TextKeys:
    contents = [_hashes(_bytes(column)) for column in columns]
    normalised = [_normalised(column) for column in columns]
    texts = np.stack([_hashes(column) for column in normalised], axis=1)
    if len(columns) == 1:
        return TextKeys(texts, texts[:, 0], contents[0])
    lengths = [np.array([len(text) for text in column]) for column in normalised]
    # Of two equally long texts the larger hash, so that the order of the columns does not matter.
    second = (lengths[1] > lengths[0]) | ((lengths[1] == lengths[0]) & (texts[:, 1] > texts[:, 0]))
    return TextKeys(texts, np.where(second, texts[:, 1], texts[:, 0]), derive_key(*contents))


def among(values: Keys, table: Keys) -> NDArray[np.bool_]:
    """Tell which values are in a sorted table, bool [n]."""
    if not len(table):
        return np.zeros(len(values), dtype=bool)
    found = np.minimum(np.searchsorted(table, values), len(table) - 1)
    return np.asarray(table[found] == values)


def _strings(texts: pa.Array) -> pa.Array:
    """Return a text column of any type as large strings without nulls."""
    return pc.fill_null(plain_values(texts).cast(pa.large_string()), "")


def _normalised(texts: pa.Array) -> list[bytes]:
    """Return texts in lower case and NFKC, with one blank between words and none around them."""
    return [b" ".join(text.split()) for text in _bytes(pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC")))]


def _bytes(texts: pa.Array) -> list[bytes]:
    found: list[bytes] = texts.cast(pa.large_binary()).to_pylist()
    return found


def _token_keys(dataset: Dataset) -> Keys:
    ids, _ = read_real_tokens(dataset)
    content = memoryview(ids.values.astype("<i8").tobytes())
    return _hashes(content[start:end] for start, end in pairwise((ids.offsets * 8).tolist()))


def _hashes(contents: Iterable[bytes | memoryview]) -> Keys:
    digests = b"".join(hashlib.blake2b(content, digest_size=8).digest() for content in contents)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
