"""Predicted classes that are found on the device are those that the logits say."""

import numpy as np
import torch

from hf_mtl import SequenceClassification
from hf_mtl.evaluation.compact import CLASSES_ALONE, classes_alone


def test_the_class_of_a_row_is_the_first_of_the_largest_logits() -> None:
    logits = torch.tensor(
        [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [-1.0, -2.0, 0.5], [np.nan, 1.0, 0.0], [0.0, np.inf, 1.0]]
    )
    found = classes_alone(logits)
    assert found[:3, 0].tolist() == logits[:3].numpy().argmax(axis=1).tolist() == [1, 0, 2]
    assert found[:, 1].tolist() == [1, 1, 1, 0, 0]
    task = SequenceClassification(labels=3)
    compact = task.compact()
    assert compact is CLASSES_ALONE
    read, whole = compact.read(found[:3].numpy()), task.outputs_of(logits[:3].numpy())
    assert task.predictions(logits[:3].numpy()).tolist() == read.predicted.tolist() == whole.predicted.tolist()  # type: ignore[attr-defined]
    assert compact.read(found.numpy()).broken == 2
