"""What ``key=value`` says of a file of rows: which columns the tasks read there, and how its csv is written."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from hf_mtl.data.csv_reader import CsvConfig
from hf_mtl.data.csv_source import CSV_OPTIONS
from hf_mtl.errors import DataError, Mistake, UserError, known, one_line
from hf_mtl.inference.readable_rows import column_mistake
from hf_mtl.plain import describe
from hf_mtl.recipe.nodes import Node, Origin
from hf_mtl.recipe.overrides import apply_overrides
from hf_mtl.tasks import DatasetSource, Task
from hf_mtl.validation import validate


@dataclass(frozen=True)
class RowKeys:
    """What is said of a file of rows.

    Args:
        tasks: The tasks to ask, with the names of the columns that they read.
        csv: How its csv is written.
        csv_keys: Which of that was said.
        named: The tasks of which columns were said.
    """

    tasks: dict[str, Task]
    csv: CsvConfig
    csv_keys: tuple[str, ...]
    named: frozenset[str]


def read_keys(overrides: Iterable[str], tasks: Mapping[str, Task], chosen: Sequence[str] | None) -> RowKeys:
    """Read ``key=value``: ``tasks.NAME.text`` or another key of text columns, and the options of csv files.

    Args:
        overrides: Those, with YAML values.
        tasks: The model's tasks.
        chosen: The tasks to ask; None: all.

    Raises:
        UserError: With all that is wrong.
    """
    mistakes: list[Mistake] = []
    given = apply_overrides(Node({}, Origin("command line", os.getcwd())), overrides, mistakes).plain()
    of_tasks = given.pop("tasks", {})
    asked = list(tasks) if chosen is None else list(dict.fromkeys(chosen))
    mistakes += [
        Mistake("--tasks", f"the model has no task '{name}'", known(tasks, name))
        for name in asked
        if name not in tasks
    ]
    for key in given:
        if key not in CSV_OPTIONS:
            remedy = f"Allowed: tasks.NAME.text and the like, and for csv files {', '.join(CSV_OPTIONS)}"
            mistakes.append(Mistake(key, "says nothing of rows to predict", remedy))
    options = {key: value for key, value in given.items() if key in CSV_OPTIONS}
    source = validate(DatasetSource, {"path": "csv", **options}, (), mistakes)
    found = {name: tasks[name] for name in asked if name in tasks}
    if not isinstance(of_tasks, dict):
        mistakes.append(Mistake("tasks", f"found {describe(of_tasks)}", "Write tasks.NAME.text=COLUMN"))
        of_tasks = {}
    for name, update in of_tasks.items():
        if name not in found:
            mistakes.append(Mistake(f"tasks.{name}", "is no task that is asked", known(found, name)))
        else:
            found[name] = _renamed(name, found[name], update, mistakes)
    if mistakes or source is None:
        raise UserError(mistakes)
    csv = CsvConfig(sep=source.sep, quoting=source.quoting, encoding=source.encoding, header=source.header)
    return RowKeys(found, csv, tuple(options), frozenset(of_tasks))


def _renamed(name: str, task: Task, update: Any, mistakes: list[Mistake]) -> Task:
    """Give a task other names of its text columns."""
    allowed = sorted({"text", *(task.text_key(column) for column in task.text_columns)})
    if not isinstance(update, dict) or set(update) - set(allowed):
        wrong = describe(update) if not isinstance(update, dict) else ", ".join(sorted(set(update) - set(allowed)))
        remedy = f"Allowed: {', '.join(f'tasks.{name}.{key}' for key in allowed)}"
        mistakes.append(Mistake(f"tasks.{name}", f"found {wrong}", remedy))
        return task
    try:
        return type(task).model_validate({**task.model_dump(), **update})
    except ValidationError as error:
        for item in error.errors():
            mistakes.append(Mistake(f"tasks.{name}.{'.'.join(map(str, item['loc']))}", item["msg"]))
    except ValueError as error:
        mistakes.append(Mistake(f"tasks.{name}", one_line(error)))
    return task


def fit_columns(keys: RowKeys, kinds: Mapping[str, pa.DataType | None]) -> dict[str, Task]:
    """Compare the columns that tasks read with those that are there.

    A file of one column is read by tasks of one text, whatever that column is called, unless its name was said.

    Args:
        keys: The tasks, and of which of them columns were said.
        kinds: The types of the columns; None where each row has its own.

    Raises:
        DataError: If a column is missing, or holds nothing that its task reads.
    """
    found, mistakes = {}, []
    for name, task in keys.tasks.items():
        fitted = task if name in keys.named else _only_column(task, kinds)
        for column in fitted.text_columns:
            kind = kinds.get(column)
            key = f"tasks.{name}.{fitted.text_key(column)}"
            if column not in kinds:
                remedy = (
                    f"{known(kinds, column, 'Columns')} Say which holds it ({key}=COLUMN), or ask others (--tasks)"
                )
                mistakes.append(Mistake(key, f"the rows have no column '{column}'", remedy))
            elif kind is not None and (mistake := column_mistake(name, fitted, column, kind)) is not None:
                mistakes.append(mistake)
        found[name] = fitted
    if mistakes:
        raise DataError(mistakes)
    return found


def _only_column(task: Task, kinds: Mapping[str, Any]) -> Task:
    [column, *more] = task.text_columns
    if more or len(kinds) != 1 or column in kinds or task.text_key(column) != "text":
        return task
    [there] = kinds
    return task.model_copy(update={"text": [there] if isinstance(task.text, list) else there})
