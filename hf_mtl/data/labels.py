"""The labels of a split, as its task encodes them."""

import numpy as np
from datasets import Dataset

from hf_mtl.data.columns import collect, raise_all
from hf_mtl.data.encoded import EncodedLabels
from hf_mtl.data.row_weights import read_row_weights
from hf_mtl.errors import Mistake
from hf_mtl.tasks import Task


def encode_labels(task: Task, name: str, split: str, dataset: Dataset) -> EncodedLabels:
    """Turn the label columns of a split into numbers, with the weights of its rows, and check every one of them.

    Args:
        task: The task, resolved.
        name: Its name.
        split: The split's name, for mistakes.
        dataset: Its rows.

    Raises:
        DataError: If labels or weights are outside what is allowed: all kinds of bad values at once.
    """
    mistakes: list[Mistake] = []
    values, missing = np.zeros(len(dataset)), np.zeros(len(dataset), dtype=bool)
    with collect(mistakes):
        values, missing = task.encode(name, split, dataset)
    weights = None
    with collect(mistakes):
        weights = read_row_weights(task, name, split, dataset, ~missing)
    raise_all(mistakes)
    return EncodedLabels(values, missing if weights is None else missing | (weights == 0), weights)
