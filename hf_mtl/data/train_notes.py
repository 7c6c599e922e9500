"""Notes of what training rows cannot teach: classes that they lack, and labels that are all the same."""

from collections.abc import Mapping, Sequence

import numpy as np

from hf_mtl.data.columns import name_count
from hf_mtl.data.encoded import EncodedLabels
from hf_mtl.errors import name_classes
from hf_mtl.tasks import Task

_MOST_NAMED = 20


def class_counts(task: Task, labels: EncodedLabels) -> np.ndarray | None:
    """Count the rows of each class, int [C]; None for a task without classes."""
    return task.class_counts(labels.values[~labels.missing])


def name_ids(task: Task, ids: np.ndarray) -> str:
    """Name some classes of a task, quoted; of very many the first ones."""
    return name_some(task.label_names or [], ids)


def name_some(names: Sequence[str], ids: np.ndarray) -> str:
    """Name some classes, quoted; of very many the first ones.

    Args:
        names: The names of all classes.
        ids: Which are meant.
    """
    return name_classes([f"'{names[index]}'" for index in ids], _MOST_NAMED)


def train_notes(name: str, task: Task, labels: EncodedLabels) -> list[str]:
    """Say what cannot be learned.

    Args:
        name: The task's name.
        task: The task, resolved.
        labels: The labels of its training rows.
    """
    return [f"{name}: {note}" for note in task.train_notes(labels.values[~labels.missing])]


def absent_notes(names: Sequence[str], counts: np.ndarray) -> list[str]:
    """Say which classes the training rows cannot teach.

    Args:
        names: The classes in id order.
        counts: Training rows of each, int [C].
    """
    present = np.flatnonzero(counts)
    if len(present) == 1:
        return [f"every train row is of class {name_some(names, present)}; there is nothing to learn."]
    absent = np.flatnonzero(counts == 0)
    if not len(absent):
        return []
    return [f"train has no row of class {name_some(names, absent)}, which cannot be learned."]


def label_set_notes(names: Sequence[str], without: np.ndarray, having: np.ndarray) -> list[str]:
    """Say which of labels, of which a row may have several, the training rows cannot teach.

    Args:
        names: The labels.
        without: Training rows without each, [L].
        having: Training rows with each, [L].
    """
    notes = []
    if len(never := np.flatnonzero(having == 0)):
        notes.append(f"train has no row with the label {name_some(names, never)}, which cannot be learned.")
    if len(always := np.flatnonzero((without == 0) & (having > 0))):
        notes.append(
            f"every train row that tells has the label {name_some(names, always)}; there is nothing to learn."
        )
    return notes


def constant_notes(columns: Sequence[str], targets: np.ndarray) -> list[str]:
    """Say which targets no training row has, and which are the same in all that have them.

    Args:
        columns: The D target columns.
        targets: Float [n, D], NaN where not given.
    """
    notes = []
    for column, values in zip(columns, targets.T, strict=True):
        given = values[~np.isnan(values)]
        every = "every train row" if len(given) == len(values) else "every train row that has it"
        if not len(given):
            notes.append(f"no train row has the target '{column}', which cannot be learned.")
        elif np.ptp(given) == 0:
            notes.append(f"the target '{column}' is {given[0]:g} in {every}; there is nothing to learn.")
    return notes


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
