"""Coefficient of determination."""

import math

import numpy as np
from sklearn.metrics import r2_score

from hf_mtl.evaluation.metrics.base import RegressionMetric


class R2(RegressionMetric):
    """Share of the targets' variance that is explained: 1 - Σ(ŷ-y)² / Σ(y-mean y)², at most 1.

    Constant targets: 1 if predicted exactly, else 0. Fewer than two rows: NaN.

    Source: `sklearn.metrics.r2_score`.

    Example:
        >>> R2().compute(predictions=[1.0, 2.0, 2.0], references=[1.0, 2.0, 3.0])
        {'r2': 0.5}
    """

    key = "r2"
    greater_is_better = True

    def value(self, predictions: np.ndarray, references: np.ndarray, target: int) -> float:
        """Return the metric of one target, [n] and [n]."""
        return r2_score(references, predictions, sample_weight=self.weights) if len(references) > 1 else math.nan
