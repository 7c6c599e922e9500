"""What each task type makes of its label columns: class ids, or target values.

A new task type registers its functions here.
"""

from collections.abc import Mapping
from functools import singledispatch

from datasets import Dataset

from hf_mtl.data.class_labels import class_notes, encode_classes, resolve_classes
from hf_mtl.data.encoded import EncodedLabels
from hf_mtl.data.targets import encode_targets
from hf_mtl.tasks import Regression, SequenceClassification, Task


@singledispatch
def resolve_task(task: Task, name: str, splits: Mapping[str, Dataset]) -> Task:
    """Fill in what the data knows and the task does not, such as its class names.

    Args:
        task: The task as the recipe has it.
        name: Its name.
        splits: Its data; the labels of ``train`` count.

    Raises:
        DataError: If task and data contradict each other.
    """
    return task


@singledispatch
def encode_labels(task: Task, name: str, split: str, dataset: Dataset) -> EncodedLabels:
    """Turn the label columns of a split into numbers, and check every one of them.

    Args:
        task: The task, resolved.
        name: Its name.
        split: The split's name, for mistakes.
        dataset: Its rows.

    Raises:
        DataError: If values are outside what the task allows: all kinds of bad values at once.
    """
    raise TypeError(f"{type(task).__name__} has not registered encode_labels")


@singledispatch
def label_notes(task: Task, name: str, train: Dataset, given: Task | None = None) -> list[str]:
    """What the user should know of how the labels were read.

    Args:
        task: The task, resolved.
        name: Its name.
        train: Its training rows, free of mistakes.
        given: The task before it was resolved; None if it came so.
    """
    return []


resolve_task.register(SequenceClassification, resolve_classes)
encode_labels.register(SequenceClassification, encode_classes)
label_notes.register(SequenceClassification, class_notes)
encode_labels.register(Regression, encode_targets)
