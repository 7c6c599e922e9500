"""Streams: tasks that read the same texts, whose rows are drawn once, encoded once, and carry every label they have.

A task that shares its texts with no other is a stream of its own, of its own name.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_mtl.errors import Mistake
from hf_mtl.signatures import Options
from hf_mtl.tasks import DatasetSource, Task
from hf_mtl.tasks.templates import template_columns

if TYPE_CHECKING:  # takes seconds, and recipes are read without
    from datasets import Dataset

# Keys of a source of rows that say which labels there are, and not which texts.
_OF_LABELS = ("filter", "map", "dtype", "missing")


def source_of(task: Task, dataset: "Dataset | None" = None) -> str:
    """Return what is equal for tasks that read the same texts, to be encoded in the same way.

    Args:
        task: The task.
        dataset: Its rows, where the task does not say where they come from.
    """
    texts = texts_of(task) if task.dataset is not None or dataset is None else dataset._fingerprint
    # A row whose tokens have outputs is the sequence that a row of one output is; choices and windows are others.
    how = ["row" if task.outputs_per == "token" else task.outputs_per, task.max_length, task.truncation_side]
    return json.dumps([texts, task.text_columns, how])


def texts_of(task: Task) -> str:
    """Return what is equal for tasks of a recipe that read the same texts, whatever they make of them."""
    given = task.dataset if isinstance(task.dataset, list) else [task.dataset]
    read = [_of_texts(source, task) for source in given if source is not None]
    return json.dumps([read, task.text_columns], sort_keys=True)


def _of_texts(source: DatasetSource, task: Task) -> dict[str, Any]:
    """Return what a source says of the texts that a task reads."""
    found = {key: value for key, value in source.model_dump(mode="json").items() if key not in _OF_LABELS}
    if source.function is None:  # which may read any column
        texts = set(task.text_columns)
        found["concat"] = {column: template for column, template in source.concat.items() if column in texts}
        texts.update(*map(template_columns, found["concat"].values()))
        found["rename"] = {old: new for old, new in source.rename.items() if new in texts}
    return found


def streams_of(sources: Mapping[str, str | None]) -> dict[str, list[str]]:
    """Group tasks into streams, each called by its tasks, with a plus sign between them.

    Args:
        sources: What each task reads, as `source_of` has it, in task order; None: a task that is drawn for itself.
    """
    groups: dict[str, list[str]] = {}
    for name, source in sources.items():
        groups.setdefault(f"alone {name}" if source is None else f"with {source}", []).append(name)
    return {"+".join(names): names for names in groups.values()}


def streams_of_recipe(tasks: Mapping[str, Task | None]) -> dict[str, list[str]]:
    """Group the tasks of a recipe, whose data nobody has looked at.

    Args:
        tasks: The tasks; None for one of which nothing can be said.
    """
    alone = {name for name, task in tasks.items() if task is None or task.dataset is None or not task.stream}
    return streams_of({n: None if n in alone or t is None else source_of(t) for n, t in tasks.items()})


def in_streams(mixture: Options, streams: Mapping[str, Sequence[str]]) -> Options:
    """Return the section ``mixture`` with streams called as they are here, in whatever order it names their tasks.

    A model that keeps tasks has them first, so that its order of tasks need not be that of a recipe.

    Args:
        mixture: The section.
        streams: The tasks of each stream.
    """
    names = {frozenset(tasks): stream for stream, tasks in streams.items()}
    called = {}
    for option in ("temperature", "proportions"):
        given = getattr(mixture, option)
        if isinstance(given, Mapping):
            other = {key: names.get(frozenset(key.split("+")), key) for key in given if key not in streams}
            # Of two spellings of one stream each stays, and the second is none that is known.
            other = {key: name for key, name in other.items() if name not in given}
            called[option] = {other.get(key, key): value for key, value in given.items()}
    return mixture.model_copy(update=called)


def carving_mistakes(tasks: Mapping[str, Task | None]) -> list[Mistake]:
    """Find tasks of one stream of which a row would be trained on in one, and scored in another.

    Args:
        tasks: As for `streams_of_recipe`.
    """
    wrong = []
    for names in streams_of_recipe(tasks).values():
        several = {name: task for name in names if len(names) > 1 and (task := tasks[name]) is not None}
        for key in ("validation_fraction", "test_fraction"):
            shares = {name: getattr(task, key) for name, task in several.items()}
            if len(set(shares.values())) > 1:
                said = ", ".join(f"{name} has {share}" for name, share in shares.items())
                remedy = "Give all of them the same, or stream: false to draw the rows of a task for itself"
                found = f"{said}, and they read the same texts, which are carved once"
                wrong.append(Mistake(f"tasks.{names[-1]}.{key}", found, remedy))
    return wrong
