"""Mean absolute error."""

import numpy as np
from sklearn.metrics import mean_absolute_error

from hf_mtl.evaluation.metrics.base import RegressionMetric


class MAE(RegressionMetric):
    """Mean absolute error (1/n) Σ|ŷ-y|, in units of the target; of ordered classes, in ranks.

    Source: `sklearn.metrics.mean_absolute_error`.

    Example:
        >>> MAE().compute(predictions=[1.0, 2.0], references=[1.0, 4.0])
        {'mae': 1.0}
    """

    key = "mae"
    greater_is_better = False
    outputs = ("values", "ranks")

    def value(self, predictions: np.ndarray, references: np.ndarray, target: int) -> float:
        """Return the metric of one target, [n] and [n]."""
        found: float = mean_absolute_error(references, predictions, sample_weight=self.weights)
        return found
