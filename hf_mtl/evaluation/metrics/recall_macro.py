"""Macro-averaged recall."""

import numpy as np
from sklearn.metrics import recall_score

from hf_mtl.evaluation.metrics.base import ClassificationMetric


class RecallMacro(ClassificationMetric):
    """Mean over all classes of recall R_c = TP_c / (TP_c + FN_c), 0 for a class without rows; in [0, 1].

    Source: `sklearn.metrics.recall_score(average="macro")`; TweetEval's metric of sentiment (arXiv:2010.12421).

    Example:
        >>> RecallMacro(num_classes=2).compute(predictions=[0, 1, 1, 1], references=[0, 1, 0, 1])
        {'recall_macro': 0.75}
    """

    key = "recall_macro"

    def value(self, predictions: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of class ids [n] and [n]."""
        found: float = recall_score(
            references,
            predictions,
            labels=range(self.num_classes),
            average="macro",
            zero_division=0,
            sample_weight=self.weights,
        )
        return found
