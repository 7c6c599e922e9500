"""Every check of a task's rows, all mistakes in one list."""

from collections.abc import Iterator, Mapping

import numpy as np
from datasets import Dataset

from hf_mtl.data.columns import collect, name_count
from hf_mtl.data.encoded import EncodedLabels, LabelledRows
from hf_mtl.data.labels import encode_labels
from hf_mtl.data.split_names import rows_needed
from hf_mtl.data.texts import check_texts
from hf_mtl.errors import Mistake
from hf_mtl.tasks import Task


def check_splits(
    name: str, task: Task, splits: Mapping[str, Dataset], mistakes: list[Mistake], to_train: bool = True
) -> tuple[Task, dict[str, LabelledRows]]:
    """Resolve a task by its data and check every split, adding whatever is wrong to ``mistakes``.

    Args:
        name: The task's name.
        task: The task.
        splits: Its data.
        mistakes: Where mistakes go.
        to_train: Whether there must be training rows.

    Returns:
        The resolved task and its rows with their labels; of use only if no mistake was added.
    """
    key = f"tasks.{name}.dataset"
    if to_train and "train" not in splits:
        mistakes.append(
            Mistake(key, f"no train split, only {', '.join(splits)}", "Name it with splits: {train: ...}.")
        )
    filled = {split: dataset for split, dataset in splits.items() if len(dataset)}
    mistakes.extend(empty_split(name, split) for split in splits if split not in filled)
    if not filled:
        return task, {}
    before = len(mistakes)
    with collect(mistakes):
        task = task.resolve(name, filled)
    if len(mistakes) > before:
        # The labels cannot be read without the classes; the texts can.
        for split, dataset in filled.items():
            mistakes.extend(check_texts(task, name, split, dataset))
        return task, {}
    return task, {split: check_rows(name, task, split, dataset, mistakes) for split, dataset in filled.items()}


def check_rows(name: str, task: Task, split: str, dataset: Dataset, mistakes: list[Mistake]) -> LabelledRows:
    """Check the labels and texts of one split, adding whatever is wrong to ``mistakes``.

    Args:
        name: The task's name.
        task: The task, resolved.
        split: The split's name; ``test`` may be without any label.
        dataset: Its rows.
        mistakes: Where mistakes go.
    """
    unread = np.zeros(len(dataset), dtype=bool)
    labels = EncodedLabels(np.zeros(len(dataset)), unread)
    with collect(mistakes):
        labels = encode_labels(task, name, split, dataset)
        if labels.missing.all() and split != "test":
            found = f"none of {name_count(len(dataset), f'{split} row')} has {labels.wanted}"
            mistakes.append(Mistake(f"tasks.{name}.label", found))
    mistakes.extend(check_texts(task, name, split, dataset, ~labels.missing))
    return LabelledRows(dataset, labels)


def empty_split(name: str, split: str) -> Mistake:
    """Return the mistake of a split without rows."""
    return Mistake(f"tasks.{name}.dataset", f"{split} has no rows", rows_needed(split))


def column_mistakes(name: str, task: Task) -> Iterator[Mistake]:
    """List what is wrong with the columns that a task names, whatever its rows are.

    Args:
        name: The task's name.
        task: The task.
    """
    if task.weight in (*task.label_columns, *task.text_columns):
        other = "label" if task.weight in task.label_columns else "text"
        remedy = "Weights have a column of their own."
        yield Mistake(f"tasks.{name}.weight", f"the column '{task.weight}' is both weight and {other}", remedy)
    for column in task.label_columns:
        if column in task.text_columns:
            remedy = "The model would read the answer."
            yield Mistake(f"tasks.{name}.label", f"the column '{column}' is both text and label", remedy)
    for key, columns in (("text", task.text_columns), ("label", task.label_columns)):
        if len(set(columns)) < len(columns):
            again = next(column for place, column in enumerate(columns) if column in columns[:place])
            key = task.text_key(again) if key == "text" else key
            yield Mistake(
                f"tasks.{name}.{key}", f"found {_some(columns)}, the same column twice", "Name each column once."
            )


def _some(columns: list[str]) -> str:
    return str(columns) if len(columns) < 20 else f"{len(columns):,} columns"
