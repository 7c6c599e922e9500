"""Squared errors: plain, as a root, and in units of the training targets' spread."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import mean_squared_error, root_mean_squared_error

from hf_mtl.evaluation.metrics.base import RegressionMetric


class MSE(RegressionMetric):
    """Mean squared error (1/n) Σ(ŷ-y)², in squared units of the target.

    Source: `sklearn.metrics.mean_squared_error`.

    Example:
        >>> MSE().compute(predictions=[1.0, 2.0], references=[1.0, 4.0])
        {'mse': 2.0}
    """

    key = "mse"
    greater_is_better = False

    def value(self, predictions: np.ndarray, references: np.ndarray, target: int) -> float:
        """Return the metric of one target, [n] and [n]."""
        found: float = mean_squared_error(references, predictions, sample_weight=self.weights)
        return found


class RMSE(RegressionMetric):
    """Root of the mean squared error sqrt((1/n) Σ(ŷ-y)²), in units of the target.

    With several targets: the mean of the targets' roots.

    Source: `sklearn.metrics.root_mean_squared_error`.

    Example:
        >>> RMSE().compute(predictions=[1.0, 2.0, 3.0, 4.0], references=[1.0, 2.0, 3.0, 6.0])
        {'rmse': 1.0}
    """

    key = "rmse"
    greater_is_better = False

    def value(self, predictions: np.ndarray, references: np.ndarray, target: int) -> float:
        """Return the metric of one target, [n] and [n]."""
        found: float = root_mean_squared_error(references, predictions, sample_weight=self.weights)
        return found


class MSEZ(RegressionMetric):
    """Mean squared z-scored error (1/n) Σ((ŷ-y)/σ)², without unit; σ is the training targets' standard deviation.

    Predicting the training mean scores about 1, so targets of different scale can be compared.

    Args:
        target_std: σ of each of the D targets, in original units.
        target_names: Names of the D targets.

    Raises:
        ValueError: If a standard deviation is not positive.

    Example:
        >>> MSEZ(target_std=[2.0]).compute(predictions=[1.0, 2.0], references=[1.0, 4.0])
        {'mse_z': 0.5}
    """

    key = "mse_z"
    greater_is_better = False

    def __init__(self, target_std: Sequence[float], target_names: Sequence[str] | None = None):
        super().__init__(target_names)
        self.target_std = np.asarray(target_std, dtype=np.float64).reshape(-1)
        if not (self.target_std > 0).all():
            raise ValueError(f"standard deviations must be positive, found {self.target_std.tolist()}")

    def value(self, predictions: np.ndarray, references: np.ndarray, target: int) -> float:
        """Return the metric of one target, [n] and [n]."""
        error: float = mean_squared_error(references, predictions, sample_weight=self.weights)
        return error / float(self.target_std[target]) ** 2
