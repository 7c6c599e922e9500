"""Accuracy."""

import numpy as np
from sklearn.metrics import accuracy_score

from hf_mtl.evaluation.metrics.base import ClassificationMetric


class Accuracy(ClassificationMetric):
    """Share of rows whose class or choice is right: (1/n) Σ_i [ŷ_i = y_i], in [0, 1].

    Source: `sklearn.metrics.accuracy_score`.

    Example:
        >>> Accuracy(num_classes=2).compute(predictions=[0, 1, 1, 1], references=[0, 1, 0, 1])
        {'accuracy': 0.75}
    """

    key = "accuracy"
    outputs = ("classes", "ranks", "tags", "choices")

    def value(self, predictions: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of class ids [n] and [n]."""
        found: float = accuracy_score(references, predictions, sample_weight=self.weights)
        return found
