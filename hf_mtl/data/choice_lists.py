"""The choices of rows, from a column of lists or from a column for each, and what is wrong with them."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from hf_mtl.data.blank import blank_texts
from hf_mtl.data.columns import (
    arrow_column,
    is_text,
    lists_texts,
    name_count,
    name_rows,
    plain_list,
    plain_values,
)
from hf_mtl.errors import Mistake


def choice_lists(dataset: Dataset, columns: str | Sequence[str]) -> pa.Array:
    """Read the choices of each row, a list of texts.

    Args:
        dataset: Rows whose columns are of the right types.
        columns: A column of lists, or a column for each choice, of which a row may leave the last ones empty.
    """
    if isinstance(columns, str):
        lists = plain_list(plain_values(arrow_column(dataset, columns)))
        # Flattened and built anew: rows may be null, or a part of a longer array.
        values = pc.list_flatten(lists).cast(pa.large_string())
        counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
        return pa.LargeListArray.from_arrays(_offsets(counts), values)
    texts = [_texts(dataset, column) for column in columns]
    there = np.stack([_is_there(values) for values in texts], axis=1)
    rows, places = np.nonzero(there)
    values = pa.concat_arrays(texts).take(pa.array(places * len(dataset) + rows))
    return pa.LargeListArray.from_arrays(_offsets(there.sum(axis=1)), values)


def are_choices(dataset: Dataset, columns: str | Sequence[str]) -> bool:
    """Tell whether columns are there, and of the types that hold choices.

    Args:
        dataset: Rows.
        columns: As for `choice_lists`.
    """
    if not set([columns] if isinstance(columns, str) else columns) <= set(dataset.column_names):
        return False
    if isinstance(columns, str):
        return lists_texts(plain_values(arrow_column(dataset, columns)).type)
    kinds = [plain_values(arrow_column(dataset, column)).type for column in columns]
    return all(is_text(kind) or pa.types.is_null(kind) for kind in kinds)


def choice_counts(lists: pa.Array) -> NDArray[np.int64]:
    """Count the choices of each row, [n]."""
    counts: NDArray[np.int64] = np.diff(lists.offsets.to_numpy()).astype(np.int64)
    return counts


def choice_mistakes(
    dataset: Dataset, columns: str | Sequence[str], key: str, split: str, used: np.ndarray
) -> Iterator[Mistake]:
    """Find rows with fewer than two choices, and with choices that are empty or come after an empty one.

    Args:
        dataset: Rows whose columns are of the right types.
        columns: As for `choice_lists`.
        key: Recipe key of the columns.
        split: The split's name.
        used: Rows to look at, bool [n].
    """
    lists = choice_lists(dataset, columns)
    few = (choice_counts(lists) < 2) & used
    if few.any():
        found = f"{split} has {name_count(int(few.sum()))} with fewer than two choices: {name_rows(few)}"
        yield Mistake(key, found, "Give each two or more, or leave these rows out.")
    if isinstance(columns, str):
        holed: NDArray[np.bool_] = np.zeros(len(dataset), dtype=bool)
        holed[pc.list_parent_indices(lists).filter(pa.array(~_is_there(lists.values))).to_numpy()] = True
        what, remedy = "with an empty choice", "Give each a text, or take it out of its list."
    else:
        there = np.stack([_is_there(_texts(dataset, column)) for column in columns], axis=1)
        holed = np.asarray((there[:, 1:] & ~there[:, :-1]).any(axis=1))
        what, remedy = "with a choice after an empty one", "Only the last columns may be empty: move it forward."
    if (holed & used).any():
        rows = f"{name_count(int((holed & used).sum()))} {what}: {name_rows(holed & used)}"
        yield Mistake(key, f"{split} has {rows}", remedy)


def repeated_choices(lists: pa.Array) -> NDArray[np.bool_]:
    """Tell which rows have a choice twice, bool [n]."""
    return np.array([len(set(row)) < len(row) for row in lists.to_pylist()], dtype=bool)


def in_any_order(lists: pa.Array) -> pa.Array:
    """Make one text of the choices of each row, the same in whatever order they come."""
    return pa.array([" ".join(sorted(map(str, row))) for row in lists.to_pylist()], pa.large_string())


def _texts(dataset: Dataset, column: str) -> pa.Array:
    return plain_values(arrow_column(dataset, column)).cast(pa.large_string())


def _is_there(texts: pa.Array) -> NDArray[np.bool_]:
    """Tell which texts are neither null nor blank."""
    blank: np.ndarray = pc.fill_null(blank_texts(texts), True).to_numpy(zero_copy_only=False)
    return ~blank


def _offsets(counts: np.ndarray) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int64())
