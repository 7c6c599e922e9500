"""Expected calibration error."""

import numpy as np

from hf_mtl.evaluation.calibration import DEFAULT_BINS, probability_bins, softmax_bins
from hf_mtl.evaluation.metrics.base import ProbabilityMetric


class ECE(ProbabilityMetric):
    """Mean distance of confidence and accuracy Σ_b n_b/n |accuracy_b - confidence_b|, in [0, 1]; 0 is calibrated.

    The confidence of a row is the probability of its predicted class; rows are put in bins of equal width over
    [0, 1] by it. The value depends on the number of bins, and is biased upwards with few rows.

    Source: Naeini et al., AAAI 2015; Guo et al., ICML 2017, arXiv:1706.04599, Eq. 3, with their 15 bins.

    Args:
        num_classes: C.
        bins: Number of bins.

    Raises:
        ValueError: If ``bins`` is below 1.

    Shape:
        prediction_scores [n, C] probabilities, references [n] class ids.

    Example:
        >>> scores = [[0.75, 0.25], [0.75, 0.25], [0.25, 0.75], [0.25, 0.75]]
        >>> ECE(num_classes=2).compute(prediction_scores=scores, references=[0, 0, 1, 0])
        {'ece': 0.0}
    """

    key = "ece"
    outputs = ("classes", "choices", "tags")
    greater_is_better = False

    def __init__(self, num_classes: int, bins: int = DEFAULT_BINS):
        super().__init__(num_classes)
        if bins < 1:
            raise ValueError(f"bins must be 1 or more, found {bins}")
        self.bins = bins

    def value(self, predictions: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of probabilities [n, C] and class ids [n]."""
        return probability_bins(predictions, references, self.bins, self.weights).error

    def of_logits(self, logits: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of the logits' probabilities [n, C] and class ids [n]."""
        return softmax_bins(logits, references, self.bins, self.weights).error
