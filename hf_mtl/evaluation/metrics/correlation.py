"""Correlation of predicted and true values."""

import numpy as np
from scipy import stats

from hf_mtl.evaluation.metrics.base import RegressionMetric


class Pearson(RegressionMetric):
    """Linear correlation Σ(ŷ-mean ŷ)(y-mean y) / sqrt(Σ(ŷ-mean ŷ)² Σ(y-mean y)²), in [-1, 1].

    Constant predictions or targets have none and count 0. Means and sums are weighted where rows have weights.

    Source: `scipy.stats.pearsonr`.

    Example:
        >>> Pearson().compute(predictions=[1.0, -1.0, 1.0, -1.0], references=[1.0, -1.0, -1.0, 1.0])
        {'pearson': 0.0}
    """

    key = "pearson"
    greater_is_better = True

    def value(self, predictions: np.ndarray, references: np.ndarray, target: int) -> float:
        """Return the metric of one target, [n] and [n]."""
        if _constant(predictions) or _constant(references):
            return 0.0
        if self.weights is not None:
            (a, both), (_, b) = np.cov(predictions, references, aweights=self.weights)
            return float(np.clip(both / np.sqrt(a * b), -1, 1))
        found: float = stats.pearsonr(predictions, references).statistic
        return found


class Spearman(RegressionMetric):
    """Pearson correlation of the ranks, ties sharing their mean rank; in [-1, 1].

    Constant predictions or targets have none and count 0. It takes no weights of rows, which no rank has.

    Source: `scipy.stats.spearmanr`.

    Example:
        >>> Spearman().compute(predictions=[1.0, 30.0, 2.0], references=[1.0, 2.0, 3.0])
        {'spearman': 0.5}
    """

    key = "spearman"
    greater_is_better = True

    def value(self, predictions: np.ndarray, references: np.ndarray, target: int) -> float:
        """Return the metric of one target, [n] and [n]."""
        if _constant(predictions) or _constant(references):
            return 0.0
        found: float = stats.spearmanr(predictions, references).statistic
        return found


def _constant(values: np.ndarray) -> bool:
    # Relative, since a constant computed in floating point differs in its last bits; 1e-12 is far below
    # the resolution of a model's outputs and above the level where scipy warns of a lost correlation.
    return bool(np.ptp(values) <= 1e-12 * np.max(np.abs(values)))
