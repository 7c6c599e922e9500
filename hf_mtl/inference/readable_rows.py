"""Rows that a task can read, and why it cannot read the others: each is marked, and none is dropped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

from hf_mtl.data.columns import arrow_column, is_list, is_text, lists_texts, plain_list, plain_values, say_type
from hf_mtl.data.texts import empty_texts, joined, null_items
from hf_mtl.errors import Mistake
from hf_mtl.tasks import Task

Reasons = NDArray[np.object_]
"""Why each row cannot be read, None where it can, [n]."""


@dataclass(frozen=True, eq=False)
class TextColumns:
    """Columns of Python's values, as tasks read them.

    Args:
        arrays: The columns, of texts or of lists of texts.
        reasons: By column: why a value is none.
        mistakes: By task: why it cannot read a column, whose first value is of the other kind.
    """

    arrays: dict[str, pa.Array]
    reasons: dict[str, Reasons]
    mistakes: dict[str, Mistake]


def text_columns(columns: Mapping[str, Sequence[Any]], tasks: Mapping[str, Task]) -> TextColumns:
    """Make the columns that tasks read; where some read texts and some lists of them, the first value decides.

    Args:
        columns: The values of n rows, by column.
        tasks: The tasks.
    """
    found = TextColumns({}, {}, {})
    for column in dict.fromkeys(column for task in tasks.values() for column in task.text_columns):
        readers = {name: task for name, task in tasks.items() if column in task.text_columns}
        listed = _are_lists(columns[column], column, list(readers.values()))
        found.arrays[column], found.reasons[column] = _text_array(columns[column], listed)
        for name, task in readers.items():
            if (mistake := column_mistake(name, task, column, found.arrays[column].type)) is not None:
                found.mistakes[name] = mistake
    return found


def _are_lists(values: Sequence[Any], column: str, readers: Sequence[Task]) -> bool:
    wanted = [column in task.text_lists for task in readers]
    if not any(wanted) or (all(wanted) and not any(task.texts_or_lists for task in readers)):
        return wanted[0]
    return isinstance(next((value for value in values if value is not None), None), list | tuple)


def _text_array(values: Sequence[Any], listed: bool) -> tuple[pa.Array, Reasons]:
    """Make a column of Python's values; what is no text, or no list of them, is null and has a reason.

    Args:
        values: The values of n rows.
        listed: Whether lists of texts are wanted, and not texts.
    """
    reasons: Reasons = np.full(len(values), None, dtype=object)
    kept = list(values)
    for place, value in enumerate(kept):
        if value is None:
            continue
        if not _fits(value, listed):
            reasons[place] = f"{_kind(value)}, not a {'list of texts' if listed else 'text'}"
            kept[place] = None
        elif not _is_whole(value):
            reasons[place] = "half of a letter (a surrogate), which is no text"
            kept[place] = None
    kind = pa.large_list(pa.large_string()) if listed else pa.large_string()
    return pa.array(kept, kind), reasons


def first_reasons(task: Task, columns: Mapping[str, Reasons], known: Reasons) -> Reasons:
    """Tell why a task cannot read rows: what is known already, or the first of its columns that holds something else.

    Args:
        task: The task.
        columns: Reasons by column, as `text_columns` gives them.
        known: What is known of each row without looking at columns, [n].
    """
    found = known.copy()
    for column in task.text_columns:
        for place in np.flatnonzero(~_unsaid(columns.get(column, ()))):
            found[place] = found[place] or f"'{column}' holds {columns[column][place]}"
    return found


def in_memory(arrays: Mapping[str, pa.Array]) -> Dataset:
    """Make rows of columns that nobody keeps: without the hash of all they hold, which `datasets` would make.

    Args:
        arrays: The columns.
    """
    return Dataset(pa.table(dict(arrays)), fingerprint="rows")


def column_mistake(name: str, task: Task, column: str, kind: pa.DataType) -> Mistake | None:
    """Refuse a column of a type that no row of it can be read from.

    Args:
        name: The task's name.
        task: The task.
        column: One of its text columns.
        kind: The type of the column in a file that has types.
    """
    kind = plain_values(pa.array([], kind)).type  # of texts that are coded by a dictionary, these
    listed = column in task.text_lists
    wanted = lists_texts(kind) if listed else is_text(kind)
    if wanted or pa.types.is_null(kind) or (listed and task.texts_or_lists and is_text(kind)):
        return None
    what = "lists of texts" if listed else "texts"
    there = "lists" if is_list(kind) else say_type(pa.array([], kind))
    found = f"column '{column}' holds {there}, not {what}"
    return Mistake(f"tasks.{name}.{task.text_key(column)}", found, f"Name a column of {what}.")


def unreadable(name: str, task: Task, rows: Dataset) -> Reasons:
    """Tell why rows cannot be read: no text, a list with a hole in it, or what their type of task refuses.

    Args:
        name: The task's name.
        task: The task.
        rows: Rows with the task's text columns, each of a type that it reads.
    """
    reasons: Reasons = np.full(len(rows), None, dtype=object)
    for column in task.text_columns:
        if column in task.self_checked:
            continue
        values, holed = plain_values(arrow_column(rows, column)), np.zeros(len(rows), dtype=bool)
        if is_list(values.type):
            values = plain_list(values)
            values, holed = joined(values), null_items(values)
        reasons[empty_texts(values) & _unsaid(reasons)] = f"no text in '{column}'"
        reasons[holed] = f"a null among the texts of '{column}'"
    _ask_the_type(name, task, rows, reasons)
    return reasons


def _ask_the_type(name: str, task: Task, rows: Dataset, reasons: Reasons) -> None:
    """Find the rows that the task itself refuses, by halves: it tells only whether some of them are refused."""
    todo = [np.flatnonzero(_unsaid(reasons))]
    while todo:
        some = todo.pop()
        if not len(some):
            continue
        used = np.zeros(len(rows), dtype=bool)
        used[some] = True
        mistakes = list(task.text_mistakes(name, "rows", rows, used))
        if mistakes and len(some) == 1:
            # It speaks of a split: `rows has 1 row with fewer than two choices: row 3, ...`.
            reasons[some] = mistakes[0].problem.removeprefix("rows has 1 row ").split(": row")[0]
        elif mistakes:
            todo += [some[: len(some) // 2], some[len(some) // 2 :]]


def _unsaid(reasons: Sequence[str | None] | Reasons) -> NDArray[np.bool_]:
    """Tell which rows have no reason yet."""
    return np.array([reason is None for reason in reasons], dtype=bool)


def _fits(value: Any, listed: bool) -> bool:
    if not listed:
        return isinstance(value, str)
    return isinstance(value, list | tuple) and all(item is None or isinstance(item, str) for item in value)


def _is_whole(value: Any) -> bool:
    """Tell whether a text, or a list of them, has no half of a letter, as JSON may give it."""
    try:
        for text in [value] if isinstance(value, str) else value or ():
            (text or "").encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "a mapping" if isinstance(value, dict) else f"a {type(value).__name__}")
