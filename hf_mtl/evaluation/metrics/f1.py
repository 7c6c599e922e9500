"""F1 over all classes, over all decisions, or over chosen classes."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import f1_score

from hf_mtl.evaluation.metrics.base import ClassificationMetric


class F1(ClassificationMetric):
    """Mean F1 of the chosen classes: F1_c = 2 TP_c / (2 TP_c + FP_c + FN_c), 0 where undefined; in [0, 1].

    Source: `sklearn.metrics.f1_score`. TweetEval (Barbieri et al. 2020, arXiv:2010.12421) scores irony with
    class 1, and stance with the mean of ``against`` and ``favor``, ``labels=[1, 2]``.

    Args:
        num_classes: C.
        labels: Ids of the classes to average over. None: class 1, and there must be two classes.

    Raises:
        ValueError: If ``labels`` is empty, holds an id outside [0, C), or is None while C is not 2.

    Example:
        >>> F1(num_classes=2).compute(predictions=[0, 1, 1, 1], references=[0, 1, 0, 1])
        {'f1': 0.8}
        >>> F1(num_classes=3, labels=[1, 2]).compute(predictions=[0, 1, 2], references=[0, 1, 1])
        {'f1': 0.3333333333333333}
    """

    key = "f1"

    def __init__(self, num_classes: int, labels: Sequence[int] | None = None):
        super().__init__(num_classes)
        if labels is None and num_classes != 2:
            raise ValueError(f"f1 of {num_classes} classes needs labels=, the classes to average over")
        self.labels = [1] if labels is None else list(labels)
        if not self.labels or not all(0 <= label < num_classes for label in self.labels):
            raise ValueError(f"labels must be class ids from 0 to {num_classes - 1}, found {self.labels}")

    def value(self, predictions: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of class ids [n] and [n]."""
        found: float = f1_score(references, predictions, labels=self.labels, average="macro", zero_division=0)
        return found


class F1Macro(ClassificationMetric):
    """Mean over all classes of F1_c = 2 TP_c / (2 TP_c + FP_c + FN_c), 0 where undefined; in [0, 1].

    Source: `sklearn.metrics.f1_score(average="macro")`. A class without rows or predictions counts 0.

    Example:
        >>> F1Macro(num_classes=3).compute(predictions=[0, 1, 1], references=[0, 1, 1])
        {'f1_macro': 0.6666666666666666}
    """

    key = "f1_macro"

    def value(self, predictions: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of class ids [n] and [n]."""
        found: float = f1_score(
            references, predictions, labels=range(self.num_classes), average="macro", zero_division=0
        )
        return found


class F1Micro(ClassificationMetric):
    """F1 of all decisions together: 2 Σ_c TP_c / Σ_c (2 TP_c + FP_c + FN_c), in [0, 1].

    Source: `sklearn.metrics.f1_score(average="micro")`. With one class per row it equals accuracy.

    Example:
        >>> F1Micro(num_classes=2).compute(predictions=[0, 1, 1, 1], references=[0, 1, 0, 1])
        {'f1_micro': 0.75}
    """

    key = "f1_micro"

    def value(self, predictions: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of class ids [n] and [n]."""
        found: float = f1_score(
            references, predictions, labels=range(self.num_classes), average="micro", zero_division=0
        )
        return found
