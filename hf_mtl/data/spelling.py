"""Columns of a file without types: which of them a task reads as numbers."""

from collections.abc import Collection, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Features

from hf_mtl.data.columns import arrow_column, name_rows, name_values, text_columns
from hf_mtl.data.filters import filter_list
from hf_mtl.errors import Mistake, known
from hf_mtl.tasks import DatasetSource, Task

# Blanks around a number are no part of it.
_WHOLE = r"^\s*(0|-?[1-9]\d{0,17})\s*$"  # as a number is written: 007 is a word
_WHOLE_FLOAT = r"^\s*(0|-?[1-9]\d{0,14})(\.0*)?\s*$"
_CODE = r"^\s*-?(0\d+|\d{16,})\s*$"  # digits that a number would not keep
_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"
_TRUTH = r"^\s*(True|TRUE|true|False|FALSE|false)\s*$"

# What a dtype makes of a column, and how all of its values must be written.
_DTYPES: dict[str, tuple[pa.DataType, str]] = {
    "int": (pa.int64(), r"^\s*[-+]?\d{1,18}\s*$"),
    "float": (pa.float64(), _NUMBER),
    "bool": (pa.bool_(), _TRUTH),
}


def read_numbers(
    splits: Mapping[str, Dataset], task: Task, source: DatasetSource, settled: Collection[str] = ()
) -> dict[str, Dataset]:
    """Turn columns of text into the numbers that a task or a filter reads in them; the rest stays as spelled.

    A column is one kind in all splits, and its type is decided by all of its values; but where the task names its
    classes, one split may hold their ids and another their names. Text columns stay text. Labels of classes become
    numbers where they are whole, as ids are; targets and filters also where they are not.

    Args:
        splits: Splits whose columns are all text, renamed.
        task: Who reads them.
        source: Where they come from, with its filters and the dtype of columns, which has been checked.
        settled: Columns that stay as they are.
    """
    filtered = [item.column for item in filter_list(source.filter)]
    weights = [] if task.weight is None else [task.weight]
    columns = [column for column in (*task.label_columns, *weights, *filtered) if column not in task.text_columns]
    typed = read_declared(splits, source)
    declared = _dtypes(source)
    for column in dict.fromkeys(columns):
        if column in declared or column in settled:
            continue
        having = [split for split in splits if column in text_columns(splits[split])]
        values = {split: arrow_column(splits[split], column).cast(pa.string()) for split in having}
        for split, kind in _types(values, task, column in task.label_columns, column in filtered).items():
            typed[split] = _replaced(typed[split], column, _as_type(values[split], kind))
    return typed


def read_declared(splits: Mapping[str, Dataset], source: DatasetSource) -> dict[str, Dataset]:
    """Read the columns whose dtype the source says; the rest stays as spelled.

    Args:
        splits: Splits whose columns are all text, renamed.
        source: Where they come from, with the dtype of columns, which has been checked.
    """
    typed = dict(splits)
    for column, dtype in _dtypes(source).items():
        typed.update(_declared(typed, column, dtype))
    return typed


def _dtypes(source: DatasetSource) -> dict[str, str]:
    """Return the dtype of columns by their new names."""
    return {source.rename.get(column, column): dtype for column, dtype in source.dtype.items()}


def dtype_mistakes(splits: Mapping[str, Dataset], task: Task, source: DatasetSource, key: str) -> Iterator[Mistake]:
    """Find columns that a source's ``dtype`` names, as the files do, and that cannot be read so.

    Args:
        splits: Splits whose columns are all text, renamed.
        task: Who reads them.
        source: Where they come from.
        key: Recipe key of the source.
    """
    for column, (old, dtype) in zip(_dtypes(source), source.dtype.items(), strict=True):
        place = f"{key}.dtype.{old}"
        having = {split: part for split, part in splits.items() if column in part.column_names}
        if not having:
            names = dict.fromkeys(name for part in splits.values() for name in part.column_names)
            yield Mistake(place, f"no column '{old}'", known(list(names), old, "Columns"))
        elif dtype == "string":
            continue
        elif column in task.text_columns:
            yield Mistake(place, f"is '{dtype}', and the task reads the column as text", "Allowed: string.")
        else:
            for split, part in having.items():
                values = arrow_column(part, column).cast(pa.string())
                fits = pc.fill_null(pc.match_substring_regex(values, _DTYPES[dtype][1]), True)
                wrong = ~fits.to_numpy(zero_copy_only=False)
                if wrong.any():
                    found = name_values(values.filter(pa.array(wrong)).slice(0, 1000).to_pylist(), 3)
                    problem = f"{split} holds {found}, which are no {dtype}: {name_rows(wrong)}"
                    yield Mistake(place, problem, "Mend them, or name another dtype.")


def _declared(splits: Mapping[str, Dataset], column: str, dtype: str) -> dict[str, Dataset]:
    """Read a column as the source says, in the splits that have it."""
    found = {}
    for split, part in splits.items():
        if column in part.column_names:
            values = arrow_column(part, column).cast(pa.string())
            found[split] = _replaced(
                part, column, values if dtype == "string" else _as_type(values, _DTYPES[dtype][0])
            )
    return found


def _types(values: Mapping[str, pa.Array], task: Task, label: bool, filtered: bool) -> Mapping[str, pa.DataType]:
    """Choose the type of a column by split; a split that is not there keeps its texts."""
    if all(array.null_count == len(array) for array in values.values()):
        return {}
    return task.label_types(values, filtered) if label else number_types(values)


def number_types(values: Mapping[str, pa.Array]) -> dict[str, pa.DataType]:
    """Choose the type of a column of numbers or booleans, the same in all splits; none for one of words.

    Args:
        values: Its texts by split.
    """
    arrays = list(values.values())
    for pattern, kind in ((_WHOLE, pa.int64()), (_NUMBER, pa.float64()), (_TRUTH, pa.bool_())):
        if _all_match(arrays, pattern):
            return dict.fromkeys(values, kind)
    return {}


def no_numbers(values: pa.Array) -> pa.Array:
    """Tell where a text spells no number; null where there is none.

    Args:
        values: Texts.
    """
    return pc.invert(pc.match_substring_regex(values, _NUMBER))


def class_types(values: Mapping[str, pa.Array], names: list[str] | None, filtered: bool) -> dict[str, pa.DataType]:
    """Choose the type of a column of classes by split: that of ids, where they are written as such.

    Args:
        values: Its texts by split.
        names: The classes that the recipe names; None: it does not.
        filtered: Whether a filter reads the column too.
    """
    kind = _class_kind(list(values.values()), names is not None, filtered)
    if kind is not None:
        return dict.fromkeys(values, kind)
    if names is None:
        return {}
    return {split: pa.int64() for split, array in values.items() if _holds_ids(array, names)}


def _holds_ids(values: pa.Array, names: list[str]) -> bool:
    """Say whether one split has the ids of the classes that the others spell."""
    if values.null_count == len(values) or not _all_match([values], _WHOLE):
        return False
    # 8 is no id where a class is called 8.
    spelled = pc.unique(pc.utf8_trim_whitespace(values)).drop_null().to_pylist()
    return not set(spelled) & set(names)


def _class_kind(values: list[pa.Array], named: bool, filtered: bool) -> pa.DataType | None:
    if _all_match(values, _WHOLE):
        return pa.int64()
    if _all_match(values, _WHOLE_FLOAT):  # ids of a column with missing values, as pandas writes them
        return pa.float64()
    if filtered and _all_match(values, _TRUTH):
        return pa.bool_()
    # Fractions are classes only if somebody says so; codes such as 007 are.
    fractions = _all_match(values, _NUMBER) and not _any_match(values, _CODE)
    return pa.float64() if fractions and not named else None


def _all_match(values: list[pa.Array], pattern: str) -> bool:
    return all(pc.all(pc.match_substring_regex(array, pattern), min_count=0).as_py() for array in values)


def _any_match(values: list[pa.Array], pattern: str) -> bool:
    return any(pc.any(pc.match_substring_regex(array, pattern), min_count=0).as_py() for array in values)


def _as_type(array: pa.Array, kind: pa.DataType) -> pa.Array:
    plain = pc.utf8_trim_whitespace(array)
    if pa.types.is_boolean(kind):
        return pc.equal(pc.utf8_lower(plain), "true")
    return pc.replace_substring_regex(plain, r"^\+", "").cast(kind)


def _replaced(dataset: Dataset, column: str, values: pa.Array) -> Dataset:
    """Put other values in a column, at its old place."""
    order = dataset.column_names
    feature = Features.from_arrow_schema(pa.schema({column: values.type}))[column]
    changed = dataset.remove_columns(column).add_column(column, values, feature=feature)
    return changed.select_columns(order)
