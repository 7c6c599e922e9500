"""The labels of a split, as its task encodes them."""

from datasets import Dataset

from hf_mtl.data.encoded import EncodedLabels
from hf_mtl.tasks import Task


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
    return EncodedLabels(*task.encode(name, split, dataset))
