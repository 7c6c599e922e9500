"""Rows as users give them in Python: texts, pairs, mappings, columns or a Dataset; and which tasks can read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mtl.errors import DataError, Mistake, ModelError, known
from hf_mtl.inference.readable_rows import Reasons, first_reasons, in_memory, text_columns
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task

logger = get_logger(__name__)

TEXT, PAIR = "text", "text_pair"
"""Columns of texts that are given without names, and of the second ones of pairs."""

_SHAPES = "a text, a pair of texts (a tuple), a mapping by column, a list of these, columns, or a Dataset"


@dataclass(frozen=True, eq=False)
class GivenRows:
    """Rows, and the tasks that read them.

    Args:
        rows: The rows, with the columns that the tasks read.
        tasks: The tasks, with the names of these columns.
        marked: By task: why each row has no prediction, None where nothing is known against it.
        alone: Whether one row was given, and not several.
    """

    rows: Dataset
    tasks: dict[str, Task]
    marked: dict[str, Reasons]
    alone: bool


def given_rows(given: Any, tasks: Mapping[str, Task], chosen: Sequence[str] | None) -> GivenRows:
    """Read what a user gave.

    Args:
        given: A text; a pair, a tuple of two texts; a mapping by column; a list of these; a mapping of lists, each a
            column; or a Dataset. Texts without the name of a column are read by the tasks that read one text, pairs
            by those that read two, such as a question and its context. ``text`` and ``text_pair`` name them too.
        tasks: The model's tasks.
        chosen: The tasks to ask; None: all that can read the rows, of which the others are named in a warning.

    Raises:
        DataError: If nothing can be made of it, or a task that is asked cannot read it.
        ModelError: If the model has no such task.
    """
    columns, alone = _columns(given)
    asked = _asked(tasks, chosen)
    found, mistakes = {}, []
    # Unless a task calls its own columns so, they are the two texts of unnamed pairs.
    pairs = PAIR in columns and not any(PAIR in task.text_columns for task in tasks.values())
    for name, task in asked.items():
        fitting = None if pairs and task.text_columns == [TEXT] else _fitted(task, columns)
        if fitting is None:
            mistakes.append(_unread(name, task, columns))
        else:
            found[name] = fitting
    if mistakes and (chosen is not None or not found):
        raise DataError(mistakes)
    if mistakes:
        left_out = ", ".join(name for name in asked if name not in found)
        logger.warning_once(f"{left_out} read other columns than {', '.join(columns)}, and are left out.")
    return _as_rows(columns, found, alone)


def _columns(given: Any) -> tuple[dict[str, Any], bool]:
    """Return columns of values, and whether they are one row."""
    if isinstance(given, Dataset):
        plain = given.with_format(None)
        return {name: plain[name][:] for name in plain.column_names}, False
    if isinstance(given, Mapping):
        if given and all(isinstance(value, list | np.ndarray) for value in given.values()):
            columns = {str(name): list(values) for name, values in given.items()}
            if len({len(values) for values in columns.values()}) > 1:
                sizes = ", ".join(f"{name} {len(values):,}" for name, values in columns.items())
                raise DataError(Mistake("rows", f"columns of different lengths: {sizes}", "Give as many of each"))
            return columns, False
        return {str(name): [value] for name, value in given.items()}, True
    if isinstance(given, str | tuple):
        return _of_list([given]), True
    if isinstance(given, list):
        return _of_list(given), False
    raise DataError(Mistake("rows", f"found a {type(given).__name__}", f"Give {_SHAPES}"))


def _of_list(rows: list[Any]) -> dict[str, Any]:
    """Turn rows into columns; what is no row of the kind of the others is None, and is marked."""
    first = next((row for row in rows if isinstance(row, str | tuple | Mapping)), "")
    if isinstance(first, str):
        return {TEXT: rows}
    if isinstance(first, Mapping):
        names = dict.fromkeys(str(name) for row in rows if isinstance(row, Mapping) for name in row)
        return {name: [row.get(name) if isinstance(row, Mapping) else None for row in rows] for name in names}
    if len(first) != 2:
        raise DataError(Mistake("rows", f"found a tuple of {len(first)}", f"Give {_SHAPES}"))
    pairs = [row if isinstance(row, tuple) and len(row) == 2 else (None, None) for row in rows]
    return {TEXT: [pair[0] for pair in pairs], PAIR: [pair[1] for pair in pairs]}


def _asked(tasks: Mapping[str, Task], chosen: Sequence[str] | None) -> dict[str, Task]:
    if chosen is None:
        return dict(tasks)
    mistakes = [
        Mistake("tasks", f"the model has no task '{name}'", known(tasks, name))
        for name in chosen
        if name not in tasks
    ]
    if mistakes or not chosen:
        raise ModelError(mistakes or Mistake("tasks", "found none", f"Give some of {', '.join(tasks)}"))
    return {name: tasks[name] for name in chosen}


def _fitted(task: Task, columns: Mapping[str, Any]) -> Task | None:
    """Return a task with the names of columns that are there; None where it does not read them."""
    if set(task.text_columns) <= set(columns):
        return task
    if any(task.text_key(column) != "text" for column in task.text_columns):
        return None
    names = [TEXT, PAIR][: len(task.text_columns)]
    # A text alone is no pair, and a pair no text alone.
    if {TEXT, PAIR} & set(columns) != set(names):
        return None
    return task.model_copy(update={"text": names if isinstance(task.text, list) else names[0]})


def _unread(name: str, task: Task, columns: Mapping[str, Any]) -> Mistake:
    wanted = ", ".join(f"'{column}'" for column in task.text_columns)
    found = f"reads the columns {wanted}, and the rows have {', '.join(columns) or 'none'}"
    remedy = "Give rows with these columns, or name other tasks: tasks=[...]"
    return Mistake(f"tasks.{name}", found, remedy)


def _as_rows(columns: Mapping[str, Any], tasks: dict[str, Task], alone: bool) -> GivenRows:
    """Make the columns that tasks read texts, and mark the rows that hold something else there."""
    read = text_columns(columns, tasks)
    if read.mistakes:
        raise DataError(list(read.mistakes.values()))
    known: Reasons = np.full(len(next(iter(read.arrays.values()))), None, dtype=object)
    marked = {name: first_reasons(task, read.reasons, known) for name, task in tasks.items()}
    return GivenRows(in_memory(read.arrays), tasks, marked, alone)
