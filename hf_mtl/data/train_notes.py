"""What the training rows of a task cannot teach: classes that they lack, and labels that are all the same."""

from collections.abc import Iterator, Mapping

import numpy as np

from hf_mtl.data.columns import name_count
from hf_mtl.data.encoded import EncodedLabels
from hf_mtl.errors import name_classes
from hf_mtl.tasks import SequenceClassification, Task

_MOST_NAMED = 20


def class_counts(task: Task, labels: EncodedLabels) -> np.ndarray | None:
    """Rows of each class, int [C]; None for a task without classes."""
    if not isinstance(task, SequenceClassification):
        return None
    return np.bincount(labels.values[~labels.missing], minlength=task.num_outputs)


def name_ids(task: Task, ids: np.ndarray) -> str:
    """The names of some classes, quoted; of very many the first ones."""
    names: list[str] = getattr(task, "label_names", None) or []
    return name_classes([f"'{names[index]}'" for index in ids], _MOST_NAMED)


def train_notes(name: str, task: Task, labels: EncodedLabels) -> list[str]:
    """Say what cannot be learned.

    Args:
        name: The task's name.
        task: The task, resolved.
        labels: The labels of its training rows.
    """
    counts = class_counts(task, labels)
    if counts is None:
        return [f"{name}: {note}" for note in _constant_targets(task, labels)]
    present = np.flatnonzero(counts)
    if len(present) == 1:
        return [f"{name}: every train row is of class {name_ids(task, present)}; there is nothing to learn."]
    absent = np.flatnonzero(counts == 0)
    if not len(absent):
        return []
    return [f"{name}: train has no row of class {name_ids(task, absent)}, which cannot be learned."]


def split_notes(name: str, task: Task, labels: Mapping[str, EncodedLabels]) -> list[str]:
    """Say which of the classes that train lacks the other splits have, and which no split has.

    Args:
        name: The task's name.
        task: The task, resolved.
        labels: The labels of every split.
    """
    counts = {split: class_counts(task, part) for split, part in labels.items()}
    train = counts.pop("train")
    if train is None:
        return []
    notes = []
    nowhere = train == 0
    for split, found in counts.items():
        assert found is not None
        only = np.flatnonzero((train == 0) & (found > 0))
        nowhere &= found == 0
        if len(only):
            rows = name_count(int(found[only].sum()))
            notes.append(f"{name}: {split} has {rows} of class {name_ids(task, only)}; its scores count them.")
    if nowhere.any():
        unused = name_ids(task, np.flatnonzero(nowhere))
        notes.append(f"{name}: no split has a row of class {unused}; labels may leave it out.")
    return notes


def _constant_targets(task: Task, labels: EncodedLabels) -> Iterator[str]:
    """A note per regression target that is the same in every row."""
    values = labels.values[~labels.missing]
    for index, column in enumerate(task.label_columns):
        if np.ptp(values[:, index]) == 0:
            yield f"the target '{column}' is {values[0, index]:g} in every train row; there is nothing to learn."
