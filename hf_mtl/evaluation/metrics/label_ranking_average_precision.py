"""Average precision of the order in which a row's labels are ranked."""

import numpy as np
from sklearn.metrics import label_ranking_average_precision_score

from hf_mtl.evaluation.binary import UNKNOWN
from hf_mtl.evaluation.metrics.base import LabelMetric


class LabelRankingAveragePrecision(LabelMetric):
    """Mean over rows and their labels of the share of labels among those ranked at least as high, in (0, 1].

    A row without labels counts 1. Labels of which a row does not tell are left out of its ranking.

    Source: `sklearn.metrics.label_ranking_average_precision_score`.

    Example:
        >>> scores = [[0.9, 0.2, 0.4], [0.8, 0.6, 0.1]]
        >>> LabelRankingAveragePrecision().compute(prediction_scores=scores, references=[[1, 0, 0], [-100, 0, 1]])
        {'label_ranking_average_precision': 0.75}
    """

    key = "label_ranking_average_precision"

    def value(self, scores: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of probabilities [n, L] and answers [n, L]."""
        # What stands below all labels of the row, and is none, takes part in no precision.
        lowest = scores.min(axis=1, keepdims=True) - 1
        ranked = np.where(references == UNKNOWN, lowest, scores)
        found: float = label_ranking_average_precision_score(references == 1, ranked, sample_weight=self.weights)
        return found
