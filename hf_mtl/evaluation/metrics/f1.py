"""F1 over all classes, over all decisions, over chosen classes, or over rows; of one class a row or of several."""

from collections.abc import Sequence
from typing import ClassVar

import datasets
import numpy as np
from sklearn.metrics import f1_score

from hf_mtl.evaluation.metrics.base import ClassificationMetric


class _OfClassesOrLabels(ClassificationMetric):
    """An F1 of class ids [n], or of which labels each row has, 1 or 0 [n, C]."""

    outputs: ClassVar[str | tuple[str, ...]] = ("classes", "ranks", "tags", "labels")

    def _features(self) -> list[datasets.Features]:
        number = datasets.Value("int64")
        return [
            datasets.Features({"predictions": kind, "references": kind})
            for kind in (number, datasets.Sequence(number))
        ]


class F1(_OfClassesOrLabels):
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
        """Return the metric of class ids [n] and [n], or of labels [n, C] and [n, C]."""
        found: float = f1_score(
            references,
            predictions,
            labels=self.labels,
            average="macro",
            zero_division=0,
            sample_weight=self.weights,
        )
        return found


class F1Macro(_OfClassesOrLabels):
    """Mean over all classes of F1_c = 2 TP_c / (2 TP_c + FP_c + FN_c), 0 where undefined; in [0, 1].

    Source: `sklearn.metrics.f1_score(average="macro")`. A class without rows or predictions counts 0.

    Example:
        >>> F1Macro(num_classes=3).compute(predictions=[0, 1, 1], references=[0, 1, 1])
        {'f1_macro': 0.6666666666666666}
    """

    key = "f1_macro"

    def value(self, predictions: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of class ids [n] and [n], or of labels [n, C] and [n, C]."""
        found: float = f1_score(
            references,
            predictions,
            labels=range(self.num_classes),
            average="macro",
            zero_division=0,
            sample_weight=self.weights,
        )
        return found


class F1Micro(_OfClassesOrLabels):
    """F1 of all decisions together: 2 Σ_c TP_c / Σ_c (2 TP_c + FP_c + FN_c), in [0, 1].

    Source: `sklearn.metrics.f1_score(average="micro")`. With one class per row it equals accuracy.

    Example:
        >>> F1Micro(num_classes=2).compute(predictions=[0, 1, 1, 1], references=[0, 1, 0, 1])
        {'f1_micro': 0.75}
    """

    key = "f1_micro"

    def value(self, predictions: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of class ids [n] and [n], or of labels [n, C] and [n, C]."""
        found: float = f1_score(
            references,
            predictions,
            labels=range(self.num_classes),
            average="micro",
            zero_division=0,
            sample_weight=self.weights,
        )
        return found


class F1Samples(_OfClassesOrLabels):
    """Mean over rows of F1_i = 2 TP_i / (2 TP_i + FP_i + FN_i) of the row's labels, in [0, 1].

    A row without labels of which none is predicted counts 1.

    Source: `sklearn.metrics.f1_score(average="samples", zero_division=1)`.

    Example:
        >>> F1Samples(num_classes=2).compute(predictions=[[1, 1], [0, 0]], references=[[1, 0], [0, 0]])
        {'f1_samples': 0.8333333333333333}
    """

    key = "f1_samples"
    outputs = "labels"

    def value(self, predictions: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of labels [n, C] and [n, C]."""
        # A mean over rows of one column would be taken for one over classes.
        if references.shape[1] == 1:
            return float(np.average(predictions[:, 0] == references[:, 0], weights=self.weights))
        found: float = f1_score(
            references, predictions, average="samples", zero_division=1, sample_weight=self.weights
        )
        return found
