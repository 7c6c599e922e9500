"""Row filters: which rows of a source a task uses."""

import numpy as np
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset

from hf_mtl.data.blank import blank_texts
from hf_mtl.data.columns import arrow_column, is_list, plain_list, plain_values
from hf_mtl.errors import DataError, Mistake, known
from hf_mtl.tasks import RowFilter

_CONDITIONS = ("equals", "one_of", "length", "not_blank")


def filter_list(value: RowFilter | list[RowFilter] | None) -> list[RowFilter]:
    """Return the filters of a source as a list."""
    return [] if value is None else [value] if isinstance(value, RowFilter) else list(value)


def filter_rows(
    dataset: Dataset, filters: RowFilter | list[RowFilter] | None, key: str = "dataset.filter"
) -> tuple[Dataset, int]:
    """Keep the rows that pass every filter, in their order.

    Returns:
        The rows kept, and how many were not.

    Raises:
        DataError: If a filter has no column here, or not exactly one condition, or one that cannot hold there.
    """
    rows = filtered_rows(dataset, filters, key)
    dropped = len(dataset) - len(rows)
    return (dataset.select(rows) if dropped else dataset), dropped


def filtered_rows(
    dataset: Dataset, filters: RowFilter | list[RowFilter] | None, key: str = "dataset.filter"
) -> np.ndarray:
    """Return the places of the rows that pass every filter.

    Raises:
        DataError: As `filter_rows` does.
    """
    keep = np.ones(len(dataset), dtype=bool)
    mistakes: list[Mistake] = []
    for item in filter_list(filters):
        mistake = _check(item, dataset, key)
        if mistake:
            mistakes.append(mistake)
        else:
            keep &= _passes(item, dataset)
    if mistakes:
        raise DataError(mistakes)
    return np.flatnonzero(keep)


def _check(item: RowFilter, dataset: Dataset, key: str) -> Mistake | None:
    given = [condition for condition in _CONDITIONS if getattr(item, condition) is not None]
    if len(given) != 1:
        found = f"{len(given)} conditions ({', '.join(given) or 'none'}) on column '{item.column}'"
        return Mistake(key, found, f"Give exactly one of: {', '.join(_CONDITIONS)}.")
    if item.column not in dataset.column_names:
        return Mistake(key, f"no column '{item.column}'", known(dataset.column_names, item.column, "Columns"))
    lists = is_list(arrow_column(dataset, item.column).type)
    if item.length is not None and not lists:
        return Mistake(key, f"length needs a list column, and '{item.column}' holds {dataset.features[item.column]}")
    if item.length is None and lists:
        return Mistake(key, f"'{item.column}' is a list column", "Use length.")
    return None


def _passes(item: RowFilter, dataset: Dataset) -> np.ndarray:
    values = plain_values(arrow_column(dataset, item.column))
    if item.length is not None:
        lengths = pc.fill_null(pc.list_value_length(plain_list(values)), -1)
        found: np.ndarray = lengths.to_numpy(zero_copy_only=False) == item.length
        return found
    if item.not_blank:
        texts = pc.fill_null(values.cast("large_string"), "")
        found = ~blank_texts(texts).to_numpy(zero_copy_only=False)
        return found
    wanted = [item.equals] if item.one_of is None else item.one_of
    feature = dataset.features[item.column]
    if isinstance(feature, ClassLabel):
        wanted = [feature.str2int(v) if isinstance(v, str) and v in feature.names else v for v in wanted]
    # Python's own equality: a filter compares 1 with 1.0 and leaves "1" alone, whatever the column's type.
    allowed = set(wanted)
    unique = pc.dictionary_encode(values)
    # One more, for nulls: their code stands behind that of the last value, and passes no filter.
    hits = np.array([value in allowed for value in unique.dictionary.to_pylist()] + [False])
    codes = pc.fill_null(unique.indices, len(hits) - 1).to_numpy(zero_copy_only=False)
    found = hits[codes]
    return found
