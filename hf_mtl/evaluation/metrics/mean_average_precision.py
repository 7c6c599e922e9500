"""Mean average precision over labels."""

import math
import warnings

import numpy as np
from sklearn.metrics import average_precision_score

from hf_mtl.evaluation.binary import UNKNOWN
from hf_mtl.evaluation.metrics.base import LabelMetric


class MeanAveragePrecision(LabelMetric):
    """Mean over labels of AP_c = Σ_k (R_k - R_{k-1}) P_k, over the rows that tell of label c; in [0, 1].

    P_k and R_k are precision and recall of the k rows with the highest probability. A label that no row has is left
    out; with none left the value is NaN, and a warning says so.

    Source: `sklearn.metrics.average_precision_score`.

    Example:
        >>> scores = [[0.9, 0.2], [0.8, 0.6], [0.1, 0.7]]
        >>> MeanAveragePrecision().compute(prediction_scores=scores, references=[[1, 0], [0, -100], [1, 1]])
        {'mean_average_precision': 0.9166666666666666}
    """

    key = "mean_average_precision"

    def value(self, scores: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of probabilities [n, L] and answers [n, L]."""
        values = []
        for column, answers in zip(scores.T, references.T, strict=True):
            known = answers != UNKNOWN
            if (answers == 1).any():
                weights = None if self.weights is None else self.weights[known]
                values.append(average_precision_score(answers[known], column[known], sample_weight=weights))
        if not values:
            warnings.warn(
                "mean_average_precision is undefined: no evaluated row has a label. Evaluate on more rows, or use "
                "another metric.",
                stacklevel=3,
            )
            return math.nan
        return float(np.mean(values))
