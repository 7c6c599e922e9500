"""A function of the user's that makes rows of rows, named in a source by its dotted path."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from datasets import Dataset, DatasetInfo, Features
from datasets.table import InMemoryTable
from numpy.typing import NDArray

from hf_mtl.errors import DataError, Mistake, known, one_line

RowFunction: TypeAlias = Callable[[dict[str, Any]], Any]

_AT_ONCE = 10_000  # rows that are Python's at a time
_RETURNS = "It returns a row (a dictionary), None to leave the row out, or a list of rows."


@contextmanager
def own_modules() -> Iterator[None]:
    """Let modules of the current folder be imported, behind all that are installed, as ``python -m`` would."""
    sys.path.append(os.getcwd())
    try:
        yield
    finally:
        sys.path.remove(os.getcwd())


def load_function(path: str, key: str) -> RowFunction:
    """Import a function.

    Args:
        path: ``package.module.name`` or ``package.module:name``.
        key: Recipe key of the function.

    Raises:
        DataError: If there is no such module, or it has no such function.
    """
    module_name, _, name = path.replace(":", ".").rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module does
        problem = f"cannot import '{module_name}' ({type(error).__name__}: {one_line(error)})"
        remedy = "A module is found where it is installed, on PYTHONPATH, or in the current folder."
        raise DataError(Mistake(key, problem, remedy)) from error
    function = getattr(module, name, None)
    if not callable(function):
        there = [word for word, value in vars(module).items() if callable(value) and not word.startswith("_")]
        raise DataError(Mistake(key, f"'{module_name}' has no function '{name}'", known(there, name, "It has")))
    found: RowFunction = function
    return found


def apply_function(
    function: RowFunction, dataset: Dataset, split: str, key: str
) -> tuple[Dataset, NDArray[np.int64]]:
    """Give each row to a function, and collect what it returns.

    Not with ``Dataset.map``: that would find rows of an earlier version of the function in its cache, which knows
    functions by their names.

    Args:
        function: Returns a row, whose columns are put into the one that it was given; None; or a list of rows.
        dataset: The rows.
        split: The split's name.
        key: Recipe key of the function.

    Returns:
        The new rows, and of which row each was made, int64 [n].

    Raises:
        DataError: If the function fails, returns anything else, or gives a column values of different kinds.
    """
    plain = dataset.with_format(None)
    tables, origins = [], []
    for start in range(0, len(plain), _AT_ONCE):
        columns = plain[start : start + _AT_ONCE]
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        made = [
            (start + place, new)
            for place, row in enumerate(rows)
            for new in _call(function, row, start + place, split, key)
        ]
        origins += [place for place, _ in made]
        tables.append(_as_table([row for _, row in made], dataset, split, key))
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            Mistake(key, f"gives {split} columns of different kinds ({one_line(error)})", _RETURNS)
        ) from error
    return _as_dataset(table, dataset), np.array(origins, dtype=np.int64)


def _call(function: RowFunction, row: dict[str, Any], place: int, split: str, key: str) -> list[dict[str, Any]]:
    given = dict(row)
    try:
        result = function(given)
    except Exception as error:  # the user's own
        problem = (
            f"{split} row {place}, counted from 0: the function raised {type(error).__name__}: {one_line(error)}"
        )
        raise DataError(Mistake(key, problem, "Mend it, or leave such rows out with a filter.")) from error
    results = result if isinstance(result, list) else [] if result is None else [result]
    if wrong := [found for found in results if not isinstance(found, Mapping)]:
        problem = f"{split} row {place}, counted from 0: the function returned a {type(wrong[0]).__name__}"
        raise DataError(Mistake(key, problem, _RETURNS))
    return [{**row, **{str(name): value for name, value in found.items()}} for found in results]


def _as_table(rows: list[dict[str, Any]], dataset: Dataset, split: str, key: str) -> pa.Table:
    names = dict.fromkeys([*dataset.column_names, *(name for row in rows for name in row)])
    kinds = {field.name: field.type for field in dataset.features.arrow_schema}
    arrays = {}
    for name in names:
        values = [row.get(name) for row in rows]
        try:
            arrays[name] = _as_array(values, kinds.get(name))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
            problem = f"{split} column '{name}': the function gives values of no one kind ({one_line(error)})"
            raise DataError(
                Mistake(key, problem, "Give every row a text, or a number, or a list of them.")
            ) from error
    return pa.table(arrays)


def _as_array(values: list[Any], kind: pa.DataType | None) -> pa.Array:
    """Keep the type that a column had, if the values still fit it."""
    if kind is not None and not pa.types.is_null(kind):
        try:
            return pa.array(values, type=kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            pass
    return pa.array(values)


def _as_dataset(table: pa.Table, before: Dataset) -> Dataset:
    """Keep what the dataset said of its columns, such as the names of classes, where their type has stayed."""
    features = Features.from_arrow_schema(table.schema)
    kinds = {field.name: field.type for field in before.features.arrow_schema}
    same = {
        name: feature for name, feature in before.features.items() if kinds[name] == table.schema.field(name).type
    }
    features.update(same)
    return Dataset(InMemoryTable(table), info=DatasetInfo(features=features))
