"""Token ids that a dataset brings in place of texts, and what of each row its attention mask calls real."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from hf_mtl.data.columns import arrow_column, is_list, name_count, name_rows, plain_list
from hf_mtl.errors import Mistake

TOKEN_COLUMNS = ("input_ids", "attention_mask", "token_type_ids")
"""Columns that a tokenizer gives; only the ids are needed."""

LARGEST_TYPE = int(np.iinfo(np.uint8).max)


@dataclass(frozen=True, eq=False)
class Lists:
    """A list column of n rows, end to end.

    Args:
        values: The values of all rows, [total]; -1 for one that is missing.
        offsets: Where each row starts, and the end, int64 [n + 1].
    """

    values: NDArray[np.integer]
    offsets: NDArray[np.int64]

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Return the number of values in each row, [n]."""
        return np.diff(self.offsets)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Return the row of each value, [total]."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def count(self, flags: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Tell how many flagged values each row has, [n]."""
        return np.bincount(self.rows[flags], minlength=len(self.lengths))

    def select(self, flags: NDArray[np.bool_]) -> "Lists":
        """Return the flagged values only."""
        return Lists(self.values[flags], _offsets(self.count(flags)))


def read_lists(dataset: Dataset, column: str, kind: type[np.integer] = np.int64) -> Lists:
    """Return a column of lists of integers or booleans, through any selection of rows.

    Args:
        dataset: Rows.
        column: The column.
        kind: Type of the values.
    """
    lists = plain_list(arrow_column(dataset, column))
    # Flattened, as `values` of the array would also give what lies below rows that are null or were left out.
    values = pc.fill_null(lists.flatten().cast(pa.int64()), -1).to_numpy(zero_copy_only=False).astype(kind)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return Lists(values, _offsets(lengths))


def read_real_tokens(dataset: Dataset) -> tuple[Lists, Lists | None]:
    """Read the token ids and types of every row, without the padding that its attention mask names.

    Args:
        dataset: Rows in which `check_tokens` finds no mistake.
    """
    names = dataset.column_names
    ids = read_lists(dataset, "input_ids")
    types = read_lists(dataset, "token_type_ids") if "token_type_ids" in names else None
    if "attention_mask" not in names:
        return ids, types
    real = read_lists(dataset, "attention_mask").values == 1
    return ids.select(real), None if types is None else types.select(real)


def check_tokens(name: str, split: str, dataset: Dataset, used: np.ndarray) -> list[Mistake]:
    """List the mistakes in the token ids of a split, in their mask and in their types.

    Args:
        name: The task's name.
        split: The split's name.
        dataset: Its rows.
        used: Rows to look at, bool [n].
    """
    columns = [column for column in TOKEN_COLUMNS if column in dataset.column_names]
    key = f"tasks.{name}.text"
    kinds = {column: dataset.data.schema.field(column).type for column in columns}
    mistakes = [
        Mistake(key, f"{split} column '{column}' holds {kind}", f"{_MEANING[column]} are lists of integers.")
        for column, kind in kinds.items()
        if not _holds_numbers(kind, column)
    ]
    if mistakes:
        return mistakes
    for found, words, remedy in _faults({column: read_lists(dataset, column) for column in columns}):
        wrong = found & used
        if wrong.any():
            count = name_count(int(wrong.sum()))
            mistakes.append(Mistake(key, f"{split} has {count} {words}: {name_rows(wrong)}", remedy))
    return mistakes


_MEANING = {"input_ids": "Token ids", "attention_mask": "Masks", "token_type_ids": "Token types"}


def _holds_numbers(kind: pa.DataType, column: str) -> bool:
    if not is_list(kind):
        return False
    flags = column == "attention_mask" and pa.types.is_boolean(kind.value_type)
    found: bool = flags or pa.types.is_integer(kind.value_type)
    return found


def _faults(lists: dict[str, Lists]) -> Iterator[tuple[np.ndarray, str, str]]:
    """Yield the rows with each fault, bool [n], what it is and what to do."""
    ids, types = lists["input_ids"], lists.get("token_type_ids")
    yield ids.lengths == 0, "without token ids", ""
    uneven = {column: found.lengths != ids.lengths for column, found in lists.items()}
    for column, rows in uneven.items():
        yield rows, f"whose {column} is not as long as its input_ids", f"Remove the column {column}, or mend it."
    if any(rows.any() for rows in uneven.values()):
        return
    if types is not None:
        outside = (types.values < 0) | (types.values > LARGEST_TYPE)
        yield types.count(outside) > 0, f"with token_type_ids outside 0..{LARGEST_TYPE}", ""
    if "attention_mask" in lists:
        yield from _mask_faults(lists["attention_mask"])


def _mask_faults(mask: Lists) -> Iterator[tuple[np.ndarray, str, str]]:
    odd = (mask.values != 0) & (mask.values != 1)
    yield mask.count(odd) > 0, "whose attention_mask holds other numbers than 0 and 1", ""
    real = mask.values == 1
    counts = mask.count(real)
    remedy = "Remove these rows, or give them a text."
    yield (counts == 0) & (mask.lengths > 0), "whose attention_mask is 0 everywhere", remedy
    # A row without holes has one run of 1; a run starts where the row does, or after a 0.
    starts = np.concatenate([[True], ~real[:-1]])[: len(real)]
    starts[mask.offsets[:-1][mask.lengths > 0]] = True
    remedy = "Only padding at either end can be cut. Remove from input_ids what the model shall not see."
    yield mask.count(real & starts) > 1, "whose attention_mask has a 0 between two 1", remedy


def _offsets(lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
