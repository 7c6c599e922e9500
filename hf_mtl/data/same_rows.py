"""Checks that the processes of a run were given the same rows: each of them plans the steps of all."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mtl.data.given_tokens import TOKEN_COLUMNS
from hf_mtl.data.processes import is_grouped
from hf_mtl.errors import DataError, Mistake
from hf_mtl.tasks import Task

_LOOKED_AT = 10


def signs_of(datasets: Any, tasks: Mapping[str, Task]) -> dict[str, tuple[int, str]]:
    """Return the number of rows of each dataset and a few of them; nothing of a single process.

    Args:
        datasets: Datasets by task, or one. Anything else has no signs.
        tasks: The tasks, which say what is read.
    """
    if not is_grouped():
        return {}
    given = datasets if isinstance(datasets, Mapping) else dict.fromkeys(list(tasks)[:1], datasets)
    rows = {name: found for name, found in given.items() if name in tasks and isinstance(found, Dataset)}
    return {name: (len(found), _few(found, tasks[name])) for name, found in rows.items()}


def as_text(task: Task) -> str:
    """Return a task as text that is the same in every process: objects of the user's by their type alone."""
    return json.dumps(task.model_dump(), sort_keys=True, default=lambda value: type(value).__name__)


def other_tasks(first: Mapping[str, str], here: Mapping[str, str]) -> DataError | None:
    """Return the error of a process that was given other tasks than the first one of its machine.

    Args:
        first: The first one's tasks, as text.
        here: Those of this one.
    """
    names = [name for name in dict.fromkeys((*first, *here)) if here.get(name) != first.get(name)]
    if not names:
        return None
    remedy = "Start every process with the same recipe and overrides."
    return DataError(Mistake(f"tasks.{name}", "differs from process to process", remedy) for name in names)


def _few(dataset: Dataset, task: Task) -> str:
    """Return some rows, spread over all of them, as text."""
    read = {*task.text_columns, *task.label_columns, *TOKEN_COLUMNS, task.weight}
    places = np.unique(np.linspace(0, max(0, len(dataset) - 1), _LOOKED_AT).astype(int))[: len(dataset)]
    part = dataset.select_columns([column for column in dataset.column_names if column in read])
    return str(part.with_format("arrow")[places.tolist()].to_pylist()) if len(places) else ""


def other_rows(
    first: Mapping[str, tuple[int, str]], here: Mapping[str, tuple[int, str]], split: str
) -> DataError | None:
    """Return the error of a process that was given other rows than the first one of its machine.

    Args:
        first: The signs of the first one's rows.
        here: Those of this one's.
        split: The split's name.
    """
    names = [name for name in here if here[name] != first.get(name)]
    if not names:
        return None
    remedy = "Give all rows to every process; each gets its share of every step."
    return DataError(
        Mistake(f"tasks.{name}", f"the {split} rows differ from process to process", remedy) for name in names
    )
