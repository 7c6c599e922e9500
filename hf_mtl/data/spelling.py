"""Columns of a file without types: which of them a task reads as numbers."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Features

from hf_mtl.data.columns import arrow_column, text_columns
from hf_mtl.data.filters import filter_list
from hf_mtl.tasks import DatasetSource, SequenceClassification, Task

# Blanks around a number are no part of it.
_WHOLE = r"^\s*(0|-?[1-9]\d{0,17})\s*$"  # as a number is written: 007 is a word
_WHOLE_FLOAT = r"^\s*(0|-?[1-9]\d{0,14})(\.0*)?\s*$"
_CODE = r"^\s*-?(0\d+|\d{16,})\s*$"  # digits that a number would not keep
_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"
_TRUTH = r"^\s*(True|TRUE|true|False|FALSE|false)\s*$"


def read_numbers(splits: Mapping[str, Dataset], task: Task, source: DatasetSource) -> dict[str, Dataset]:
    """Turn columns of text into the numbers that a task or a filter reads in them; the rest stays as spelled.

    A column is one kind in all splits, and its type is decided by all of its values; but where the task names its
    classes, one split may hold their ids and another their names. Text columns stay text. Labels of classes become
    numbers where they are whole, as ids are; targets and filters also where they are not.

    Args:
        splits: Splits whose columns are all text.
        task: Who reads them.
        source: Where they come from, with its filters.
    """
    filtered = [item.column for item in filter_list(source.filter)]
    columns = [column for column in (*task.label_columns, *filtered) if column not in task.text_columns]
    typed = dict(splits)
    for column in dict.fromkeys(columns):
        having = [split for split in splits if column in text_columns(splits[split])]
        values = {split: arrow_column(splits[split], column).cast(pa.string()) for split in having}
        kind = _kind(list(values.values()), task, column in task.label_columns, column in filtered)
        for split in having:
            its_kind = kind or _kind_of_ids(values[split], task, column in task.label_columns)
            if its_kind is not None:
                typed[split] = _replaced(typed[split], column, _as_type(values[split], its_kind))
    return typed


def _kind_of_ids(values: pa.Array, task: Task, label: bool) -> pa.DataType | None:
    """The type of one split's class ids where other splits spell the names that the task gives; None: text."""
    names = task.labels if label and isinstance(task, SequenceClassification) else None
    if not isinstance(names, list) or values.null_count == len(values) or not _all_match([values], _WHOLE):
        return None
    # 8 is no id where a class is called 8.
    spelled = pc.unique(pc.utf8_trim_whitespace(values)).drop_null().to_pylist()
    return None if set(spelled) & set(names) else pa.int64()


def _kind(values: list[pa.Array], task: Task, label: bool, filtered: bool) -> pa.DataType | None:
    """The type of a column with these values; None: text."""
    if all(array.null_count == len(array) for array in values):
        return None
    if label and isinstance(task, SequenceClassification):
        return _class_kind(values, task, filtered)
    if _all_match(values, _WHOLE):
        return pa.int64()
    if _all_match(values, _NUMBER):
        return pa.float64()
    return pa.bool_() if _all_match(values, _TRUTH) else None


def _class_kind(values: list[pa.Array], task: SequenceClassification, filtered: bool) -> pa.DataType | None:
    if _all_match(values, _WHOLE):
        return pa.int64()
    if _all_match(values, _WHOLE_FLOAT):  # ids of a column with missing values, as pandas writes them
        return pa.float64()
    if filtered and _all_match(values, _TRUTH):
        return pa.bool_()
    # Fractions are classes only if somebody says so; codes such as 007 are.
    fractions = _all_match(values, _NUMBER) and not _any_match(values, _CODE)
    return pa.float64() if fractions and not isinstance(task.labels, list) else None


def _all_match(values: list[pa.Array], pattern: str) -> bool:
    return all(pc.all(pc.match_substring_regex(array, pattern), min_count=0).as_py() for array in values)


def _any_match(values: list[pa.Array], pattern: str) -> bool:
    return any(pc.any(pc.match_substring_regex(array, pattern), min_count=0).as_py() for array in values)


def _as_type(array: pa.Array, kind: pa.DataType) -> pa.Array:
    plain = pc.utf8_trim_whitespace(array)
    if pa.types.is_integer(kind):
        return plain.cast(kind)
    if pa.types.is_boolean(kind):
        return pc.equal(pc.utf8_lower(plain), "true")
    return pc.replace_substring_regex(plain, r"^\+", "").cast(kind)


def _replaced(dataset: Dataset, column: str, values: pa.Array) -> Dataset:
    """A dataset with other values in a column, at its old place."""
    order = dataset.column_names
    feature = Features.from_arrow_schema(pa.schema({column: values.type}))[column]
    changed = dataset.remove_columns(column).add_column(column, values, feature=feature)
    return changed.select_columns(order)
