"""Area under the ROC curve, one class against the rest."""

import math
import warnings
from collections.abc import Iterable

import numpy as np
from sklearn.metrics import roc_auc_score

from hf_mtl.evaluation.metrics.base import ProbabilityMetric
from hf_mtl.evaluation.outputs import class_probabilities


class AurocMacro(ProbabilityMetric):
    """Mean over classes of AUROC_c = P(p_c(x⁺) > p_c(x⁻)) + ½ P(p_c(x⁺) = p_c(x⁻)), in [0, 1].

    x⁺ is a row of class c and x⁻ any other row. Two classes: class 1 only, which says all. A class that no
    row has, or that every row has, has no AUROC and is left out; which classes those are depends on the
    labels alone, so models stay comparable. With one class in all rows the value is NaN, and a warning says so.

    Source: `sklearn.metrics.roc_auc_score`, one class against the rest.

    Shape:
        prediction_scores [n, C] probabilities, references [n] class ids.

    Example:
        >>> scores = [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]]
        >>> AurocMacro(num_classes=2).compute(prediction_scores=scores, references=[0, 0, 1, 1])
        {'auroc_macro': 0.75}
    """

    key = "auroc_macro"

    def value(self, predictions: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of probabilities [n, C] and class ids [n]."""
        return self._mean(predictions.T, references)

    def of_logits(self, logits: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of the logits' probabilities [n, C] and class ids [n]."""
        return self._mean(class_probabilities(logits), references)

    def _mean(self, columns: Iterable[np.ndarray], references: np.ndarray) -> float:
        """Return the mean over the classes, given the probabilities of one after the other, [n] each."""
        values = [
            roc_auc_score(references == index, column, sample_weight=self.weights)
            for index, column in enumerate(columns)
            if (index == 1 or self.num_classes != 2) and 0 < np.sum(references == index) < len(references)
        ]
        if not values:
            warnings.warn(
                "auroc_macro is undefined: all evaluated rows have one class. Evaluate on more rows, or use "
                "another metric.",
                stacklevel=3,
            )
            return math.nan
        return float(np.mean(values))
