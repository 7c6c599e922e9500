"""Rows as users give them in Python: texts, pairs, mappings, columns or a Dataset; and which tasks can read them."""

from collections.abc import Mapping, Sequence, Set
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
            column (see `rows_of_columns`); or a Dataset. Texts without the name of a column are read by the tasks
            that read one text, pairs by those that read two, such as a question and its context. ``text`` and
            ``text_pair`` name them too.
        tasks: The model's tasks.
        chosen: The tasks to ask; None: all that can read the rows, of which the others are named in a warning.

    Raises:
        DataError: If nothing can be made of it, or a task that is asked cannot read it.
        ModelError: If the model has no such task.
    """
    asked = _asked(tasks, chosen)
    columns, alone = _columns(given, asked)
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


def rows_of_columns(
    given: Mapping[str, Any], tasks: Mapping[str, Task], chosen: Sequence[str] | None
) -> list[dict[str, Any]] | None:
    """Return the rows of a mapping of columns; None where it is one row, whose lists its tasks read as they are.

    Args:
        given: The mapping.
        tasks: The model's tasks.
        chosen: The tasks to ask; None: all.

    Raises:
        DataError: If it may be read as rows and as one row, or as neither, or columns are of different lengths.
        ModelError: If the model has no such task.
    """
    columns, alone = _of_mapping(given, _asked(tasks, chosen))
    return None if alone else [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _columns(given: Any, asked: Mapping[str, Task]) -> tuple[dict[str, Any], bool]:
    """Return columns of values, and whether they are one row."""
    if isinstance(given, Dataset):
        plain = given.with_format(None)
        return {name: plain[name][:] for name in plain.column_names}, False
    if isinstance(given, Mapping):
        return _of_mapping(given, asked)
    if isinstance(given, str | tuple):
        return _of_list([given], asked), True
    if isinstance(given, list):
        return _of_list(given, asked), False
    raise DataError(Mistake("rows", f"found a {type(given).__name__}", f"Give {_SHAPES}"))


def _of_mapping(given: Mapping[str, Any], asked: Mapping[str, Task]) -> tuple[dict[str, Any], bool]:
    """Return the columns of a mapping, and whether it is one row."""
    plain = {str(name): _plain(value) for name, value in given.items()}
    if not plain or not all(isinstance(value, list) for value in plain.values()) or _is_one_row(plain, asked):
        return {name: [value] for name, value in plain.items()}, True
    if len({len(values) for values in plain.values()}) > 1:
        sizes = ", ".join(f"{name} {len(values):,}" for name, values in plain.items())
        raise DataError(Mistake("rows", f"columns of different lengths: {sizes}", "Give as many of each"))
    return plain, False


def _is_one_row(lists: Mapping[str, list[Any]], asked: Mapping[str, Task]) -> bool:
    """Tell whether lists are what one row holds, and not columns, by what the tasks read there.

    A list of texts is a column where a text is read, and one row's where a list of them is read. Where either is read
    it is one row's list of words, unless there is a blank in one of them: then it may be a column of texts as well.
    """
    rows: list[str] = []
    either: list[str] = []
    one: list[str] = []
    for column in dict.fromkeys(name for task in asked.values() for name in task.text_columns if name in lists):
        readers = [task for task in asked.values() if column in task.text_columns]
        texts = isinstance(next((item for item in lists[column] if item is not None), None), str)
        if not texts or any(column not in task.text_lists for task in readers):
            rows.append(column)
        else:
            (either if all(task.texts_or_lists for task in readers) else one).append(column)
    remedy = "Give a list of rows, each a mapping by column"
    if rows and one:
        found = f"'{rows[0]}' holds a value for each row, and '{one[0]}' the list of one row"
        raise DataError(Mistake("rows", found, remedy))
    if not rows and not one and any(len(str(item).split()) > 1 for column in either for item in lists[column]):
        found = f"'{either[0]}' may hold a text for each row, or the words of one row"
        raise DataError(Mistake("rows", found, remedy))
    return bool(one or (either and not rows))


def _of_list(rows: list[Any], asked: Mapping[str, Task]) -> dict[str, Any]:
    """Turn rows into columns; what is no row of the kind of the others is None, and is marked."""
    if any(isinstance(row, list) for row in rows) and not any(task.texts_or_lists for task in asked.values()):
        raise DataError(
            Mistake("rows", "found a list in a list, and no task reads lists of words", f"Give {_SHAPES}")
        )
    first = next((row for row in rows if isinstance(row, str | tuple | Mapping)), "")
    if isinstance(first, str):
        return {TEXT: rows}
    if isinstance(first, Mapping):
        names = dict.fromkeys(str(name) for row in rows if isinstance(row, Mapping) for name in row)
        return {name: [_plain(row.get(name)) if isinstance(row, Mapping) else None for row in rows] for name in names}
    if len(first) != 2:
        raise DataError(Mistake("rows", f"found a tuple of {len(first)}", f"Give {_SHAPES}"))
    pairs = [row if isinstance(row, tuple) and len(row) == 2 else (None, None) for row in rows]
    return {TEXT: [pair[0] for pair in pairs], PAIR: [pair[1] for pair in pairs]}


def _plain(value: Any) -> Any:
    """Make an array the list that it is."""
    return value.tolist() if isinstance(value, np.ndarray) else value


def _asked(tasks: Mapping[str, Task], chosen: Sequence[str] | None) -> dict[str, Task]:
    if chosen is None:
        return dict(tasks)
    if not isinstance(chosen, Sequence | Set) or not all(isinstance(name, str) for name in chosen):
        remedy = f"Give the name of a task, or a list of names. {known(tasks, '')}"
        raise ModelError(Mistake("tasks", f"found {chosen!r}", remedy))
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
