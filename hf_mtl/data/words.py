"""Words of texts, with the places of their characters: those of lists of words, or those found in plain texts."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray
from tokenizers import Regex, pre_tokenizers

from hf_mtl.data.columns import arrow_column, is_list, is_text, plain_list, plain_values
from hf_mtl.data.texts import is_tokenised
from hf_mtl.errors import DataError, Mistake
from hf_mtl.tasks import Task

# Runs of characters between blanks and marks, and each mark; characters of scripts without blanks one by one.
_SPLIT = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Split(Regex(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}]\p{M}*"), "isolated"),
        pre_tokenizers.BertPreTokenizer(),
    ]
)


@dataclass(frozen=True, eq=False)
class Words:
    """The words of n texts, row by row.

    Args:
        texts: The texts; lists of words with a blank between two.
        offsets: First word of each row, and the end, int64 [n + 1].
        starts: First character of each word in its text, int64 [total].
        ends: The one after the last, int64 [total].
    """

    texts: pa.Array
    offsets: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Words of each row, int64 [n]."""
        return np.diff(self.offsets)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """The row of each word, int64 [total]."""
        return np.repeat(np.arange(len(self)), self.counts)

    @cached_property
    def bases(self) -> NDArray[np.int64]:
        """Where each row's characters begin if all texts stand in a line with a blank between two, int64 [n + 1]."""
        lengths = pc.utf8_length(self.texts).to_numpy(zero_copy_only=False).astype(np.int64)
        return np.concatenate([[0], np.cumsum(lengths + 1)])


def words_of(task: Task, name: str, split: str, dataset: Dataset) -> Words:
    """Return the words of a split, of lists of words or of plain texts.

    Raises:
        DataError: If the dataset brings token ids in their place, or something else.
    """
    [column] = task.text_columns
    if is_tokenised(task, dataset):
        found = f"{split} has input_ids in place of the column '{column}'"
        raise DataError(Mistake(f"tasks.{name}.text", found, "Give the words: tokens do not tell where they begin."))
    values = plain_values(arrow_column(dataset, column))
    if is_list(values.type) and (is_text(values.type.value_type) or pa.types.is_null(values.type.value_type)):
        return _listed(plain_list(values))
    if is_text(values.type):
        return _found(pc.fill_null(values.cast(pa.large_string()), ""))
    found = f"{split} column '{column}' holds {values.type}"
    remedy = "Name a column of lists of words, whose labels are tags, or of texts, whose labels are spans."
    raise DataError(Mistake(f"tasks.{name}.text", found, remedy))


def split_words(text: str) -> list[tuple[int, int]]:
    """Find the words of a text as a task with spans has them: where each begins and ends.

    Args:
        text: The text.
    """
    return [place for _, place in _SPLIT.pre_tokenize_str(text)]


def word_lists(texts: list[str] | list[list[str]]) -> Iterator[list[str]]:
    """Give the words of each text, or each list of words as it is."""
    for text in texts:
        yield [text[start:end] for start, end in split_words(text)] if isinstance(text, str) else list(text)


def _listed(lists: pa.Array) -> Words:
    lists = pc.fill_null(lists.cast(pa.large_list(pa.large_string())), [])
    words = pc.fill_null(pc.list_flatten(lists), "")
    offsets = np.concatenate([[0], np.cumsum(pc.list_value_length(lists).to_numpy(zero_copy_only=False))])
    offsets = offsets.astype(np.int64)
    texts = pc.binary_join(pa.LargeListArray.from_arrays(pa.array(offsets), words), pa.scalar(" ", pa.large_string()))
    lengths = pc.utf8_length(words).to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum(lengths + 1) - 1
    starts = ends - lengths
    # In a line of all rows; each row's own characters are counted from its first word.
    firsts = np.concatenate([starts, [0]])[offsets[:-1]]
    base = np.repeat(firsts, np.diff(offsets))
    return Words(texts, offsets, starts - base, ends - base)


def _found(texts: pa.Array) -> Words:
    places = [split_words(text) for text in texts.to_pylist()]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in places])]).astype(np.int64)
    flat = np.array([place for row in places for place in row], dtype=np.int64).reshape(-1, 2)
    return Words(texts, offsets, flat[:, 0], flat[:, 1])
