"""Matthews correlation coefficient."""

import numpy as np
from sklearn.metrics import matthews_corrcoef

from hf_mtl.evaluation.metrics.base import ClassificationMetric


class Matthews(ClassificationMetric):
    """Correlation of predicted and true classes, in [-1, 1]; 0 if either is constant.

    With s rows, c of them right, p_k rows predicted and t_k rows true of class k:
    (c s - Σ_k p_k t_k) / sqrt((s² - Σ_k p_k²) (s² - Σ_k t_k²)).

    Source: Gorodkin 2004; `sklearn.metrics.matthews_corrcoef`.

    Example:
        >>> Matthews(num_classes=2).compute(predictions=[0, 1, 1, 0], references=[0, 1, 1, 0])
        {'matthews': 1.0}
    """

    key = "matthews"

    def value(self, predictions: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of class ids [n] and [n]."""
        if len(set(predictions)) == 1 or len(set(references)) == 1:
            return 0.0
        found: float = matthews_corrcoef(references, predictions, sample_weight=self.weights)
        return found
