"""Types with an output for each class keep weights of the classes that average 1 over what their loss counts."""

import numpy as np
import pytest

from hf_mtl import SequenceClassification
from hf_mtl.modeling.class_outputs import OutputPerClass
from hf_mtl.modeling.statistics import ClassWeights
from hf_mtl.task_types.token_classification import TokenClassification

WEIGHTS = {"labels": ["O", "B-X", "I-X"], "class_weights": [1.0, 2.0, 3.0]}
CASES = [
    (SequenceClassification(**WEIGHTS), np.array([0, 0, 0, 1, 2])),
    (SequenceClassification(**WEIGHTS, soft_labels=True), np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])),
    (TokenClassification(**WEIGHTS), np.array([[0, 1, 2, -100], [0, 0, -100, -100]], dtype=np.int16)),
]
COUNTS = [[3, 1, 1], [0.5, 0.75, 0.75], [3, 1, 1]]


@pytest.mark.parametrize(("case", "counts"), zip(CASES, COUNTS, strict=True), ids=["rows", "shares", "words"])
def test_weights_average_one_over_what_the_loss_counts(
    case: tuple[OutputPerClass, np.ndarray], counts: list[float]
) -> None:
    task, labels = case
    np.testing.assert_allclose(task.counts_in_loss(labels), counts)
    statistics = task.new_statistics()
    assert isinstance(statistics, ClassWeights)
    assert task.fit_statistics("t", statistics, labels, keep=False) == []
    weights = statistics.weights.numpy()
    np.testing.assert_allclose(weights / weights[0], [1, 2, 3], rtol=1e-6)
    np.testing.assert_allclose((weights * counts).sum() / np.sum(counts), 1, rtol=1e-6)
    assert task.fit_statistics("t", statistics, labels, keep=True) == []


def test_without_weights_there_is_nothing_to_keep() -> None:
    for task in (SequenceClassification(labels=2), TokenClassification(labels=["O", "B-X", "I-X"])):
        statistics = task.new_statistics()
        assert not task.is_weighted
        assert list(statistics.kept) == []
        assert task.fit_statistics("t", statistics, np.array([[0, 1]]), keep=False) == []
