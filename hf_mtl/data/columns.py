"""Columns as arrow arrays, and the words that say which rows of them are wrong."""

import json
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from hf_mtl.errors import DataError, Mistake

COUNTED = "counted from 0"
_ROOM = 2**28  # bytes; the values of smaller lists can be counted by 32 bits, also if rows are selected repeatedly
_KINDS = {bool: "booleans", int: "numbers", float: "numbers", str: "texts", type(None): "nulls"}


def arrow_column(dataset: Dataset, column: str) -> pa.Array:
    """Return one column as an arrow array, through any selection of rows.

    `datasets` itself reads a selection row by row, with a batch of arrow for each.

    Raises:
        KeyError: If there is no such column.
    """
    if column not in dataset.column_names:
        raise KeyError(column)
    # Selecting a column copies a dataset with all of its columns: minutes for a check of thousands of them.
    array = _whole(_roomy(dataset.data.column(column)))
    return array if dataset._indices is None else array.take(_whole(dataset._indices.column(0)))


def _whole(chunked: pa.ChunkedArray) -> pa.Array:
    array = chunked.combine_chunks()
    # An empty chunked array may combine to no chunk at all.
    return array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)


def _roomy(chunked: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of a type that holds more than 2^31 characters or values, as one array of it may."""
    if pa.types.is_string(chunked.type) or pa.types.is_string_view(chunked.type):  # no rows can be taken of views
        return chunked.cast(pa.large_string())
    if pa.types.is_list(chunked.type) and chunked.nbytes > _ROOM:
        return chunked.cast(pa.large_list(chunked.type.value_field))
    return chunked


def text_lists(dataset: Dataset, column: str, size: int = 100_000) -> Iterator[list[str]]:
    """Yield the texts of a checked column in lists of a few, so that not all of them are Python's at once.

    Of a column of lists each text comes for itself. A row that may go without a text has none here.
    """
    texts = plain_values(arrow_column(dataset, column))
    if is_list(texts.type):
        texts = pc.list_flatten(texts)
    for start in range(0, len(texts), size):
        found: list[str] = texts.slice(start, size).drop_null().to_pylist()
        yield found


def with_fields(dataset: Dataset, columns: Iterable[str]) -> Dataset:
    """Make columns of the fields of mappings, if some of these are read: ``choices.text`` is the text of ``choices``.

    Args:
        dataset: Rows.
        columns: The columns that are read.
    """
    there = set(dataset.column_names)
    return dataset.flatten() if any(is_field(column, there) for column in columns) else dataset


def is_field(column: str, there: Container[str]) -> bool:
    """Tell whether a name may be that of a field of a column, and of no column.

    Args:
        column: The name.
        there: The columns.
    """
    return column not in there and "." in column and column.split(".", 1)[0] in there


def null_mask(array: pa.Array) -> np.ndarray:
    """Return where the column has no value, bool [n]; NaN is a value."""
    found: np.ndarray = pc.is_null(array).to_numpy(zero_copy_only=False)
    return found


def is_text(kind: pa.DataType) -> bool:
    """Tell whether an arrow type holds strings; csv files load as ``large_string``."""
    found: bool = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return found


def text_columns(dataset: Dataset) -> list[str]:
    """Return the columns that hold strings, or nothing at all."""
    kinds = {field.name: field.type for field in dataset.features.arrow_schema}
    return [column for column, kind in kinds.items() if is_text(kind) or pa.types.is_null(kind)]


def is_list(kind: pa.DataType) -> bool:
    """Tell whether an arrow type holds lists of any layout."""
    found: bool = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return found


def lists_texts(kind: pa.DataType) -> bool:
    """Tell whether an arrow type holds lists of strings, or of nothing."""
    return is_list(kind) and (is_text(kind.value_type) or pa.types.is_null(kind.value_type))


def plain_list(array: pa.Array) -> pa.Array:
    """Return a list column in the layout that has offsets, whatever layout it came in."""
    return array.cast(pa.list_(array.type.value_type)) if pa.types.is_fixed_size_list(array.type) else array


def flat_lists(array: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray, pa.Array]:
    """Take the lists of a column apart.

    Returns:
        The row of each element, in order, int64 [m]; elements of each row, int64 [n]; rows without a list, bool [n];
        and the elements, plain.
    """
    array = plain_list(array)
    absent, offsets = null_mask(array), array.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    lengths = np.where(absent, 0, np.diff(offsets))
    ends = np.cumsum(lengths)
    # A list that is null may hide elements, so each list's own are taken.
    places = np.arange(lengths.sum()) + np.repeat(offsets[:-1] - (ends - lengths), lengths)
    return (
        np.repeat(np.arange(len(array)), lengths),
        lengths,
        absent,
        plain_values(array.values.take(pa.array(places))),
    )


def plain_values(array: pa.Array) -> pa.Array:
    """Return a dictionary-encoded column decoded, and views of strings as strings; any other as it is."""
    array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    # Most functions of arrow take no views.
    return array.cast(pa.large_string()) if pa.types.is_string_view(array.type) else array


def say_type(array: pa.Array) -> str:
    """Return what a column holds, in words: its arrow type, or the kinds of values that a JSON column mixes."""
    if pa.types.is_timestamp(array.type):
        return f"{array.type}, dates (as files of JSON give texts that look like dates)"
    if not isinstance(array.type, pa.BaseExtensionType) or "json" not in str(array.type):
        return str(array.type)
    found: dict[str, Any] = {}
    for text in pc.unique(array.storage).drop_null().to_pylist():
        value = json.loads(text)
        found.setdefault(_KINDS.get(type(value), "others"), value)
    return "a mix of " + ", ".join(f"{kind} (such as {value!r})" for kind, value in sorted(found.items()))


def name_rows(mask: np.ndarray, limit: int = 5) -> str:
    """Name the rows where the mask is true, counted from 0: ``rows 3, 8 and 20``."""
    rows = np.flatnonzero(mask)
    shown = [str(row) for row in rows[:limit].tolist()]
    if len(rows) > limit:
        return f"rows {', '.join(shown)} and {len(rows) - limit:,} more, {COUNTED}"
    listed = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    return f"row{'s' * (len(rows) > 1)} {listed}, {COUNTED}"


def name_values(values: Sequence[Any] | np.ndarray, limit: int = 5) -> str:
    """Return the first few distinct values, as Python writes them."""
    distinct = list(dict.fromkeys(value.item() if isinstance(value, np.generic) else value for value in values))
    shown = ", ".join(repr(value) for value in distinct[:limit])
    return f"{shown} and {len(distinct) - limit:,} more" if len(distinct) > limit else shown


def name_count(count: int, noun: str = "row") -> str:
    """Put a number of rows in words: ``1 row``, ``3,257 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


@contextmanager
def collect(mistakes: list[Mistake]) -> Iterator[None]:
    """Add the mistakes of a `DataError` to a list instead of raising, so that the next check still runs."""
    try:
        yield
    except DataError as error:
        mistakes.extend(error.mistakes)


def raise_all(mistakes: Sequence[Mistake]) -> None:
    """Raise what was collected, each mistake once.

    Raises:
        DataError: If there is any mistake.
    """
    if mistakes:
        raise DataError(dict.fromkeys(mistakes))
