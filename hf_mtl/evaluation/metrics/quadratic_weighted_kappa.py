"""Quadratic weighted kappa."""

import math
import warnings

import numpy as np
from sklearn.metrics import cohen_kappa_score

from hf_mtl.evaluation.metrics.base import ClassificationMetric


class QuadraticWeightedKappa(ClassificationMetric):
    """Agreement beyond chance 1 - Σ (ŷ-y)² / Σ_chance (ŷ-y)² of ranks, in [-1, 1]; 0 for one rank in all predictions.

    Chance pairs the predictions of the rows with the labels of other rows. With one and the same rank in all
    predictions and labels the value is NaN, and a warning says so.

    Source: `sklearn.metrics.cohen_kappa_score(weights="quadratic")`.

    Example:
        >>> QuadraticWeightedKappa(num_classes=3).compute(predictions=[0, 1, 2, 2], references=[0, 1, 2, 1])
        {'quadratic_weighted_kappa': 0.8}
    """

    key = "quadratic_weighted_kappa"
    outputs = "ranks"

    def value(self, predictions: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of ranks [n] and [n]."""
        if len(np.union1d(predictions, references)) == 1:
            warnings.warn(
                "quadratic_weighted_kappa is undefined: all predictions and labels are one class. Evaluate on more "
                "rows, or use another metric.",
                stacklevel=3,
            )
            return math.nan
        # All ranks are named, so that the distance of two is the same whichever the rows hold.
        ranks = range(self.num_classes)
        found: float = cohen_kappa_score(
            references, predictions, labels=ranks, weights="quadratic", sample_weight=self.weights
        )
        return found
