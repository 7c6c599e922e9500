"""Base classes of our metrics: they work in memory, and wait for no other process."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import uuid4

import datasets
import evaluate
import numpy as np


class LocalMetric(evaluate.Metric, ABC):
    """An `evaluate.Metric` that reads and writes no file.

    Several processes may compute the same metric at once: nothing is cached, so there is no lock file to meet in.
    """

    key: ClassVar[str]
    greater_is_better: ClassVar[bool]
    outputs: ClassVar[str | tuple[str, ...]]
    """The outputs that the metric scores, in the words that tasks have in ``outputs_are``."""
    wants_probabilities: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__(keep_in_memory=True, experiment_id=uuid4().hex)
        self.weights: np.ndarray | None = None
        """Weight of each row that is scored, [n]; None: all weigh the same. `load_metric` sets it, for metrics whose
        line in the registry says that they take weights."""

    def _build_data_dir(self) -> str:
        # evaluate makes a folder in the user's cache even for a metric that is kept in memory.
        return ""

    def _info(self) -> evaluate.MetricInfo:
        documentation = type(self).__doc__ or ""
        return evaluate.MetricInfo(
            description=documentation.split("\n", 1)[0],
            citation="",
            inputs_description=documentation,
            features=self._features(),
        )

    @abstractmethod
    def _features(self) -> datasets.Features | list[datasets.Features]:
        """Return the types of the metric's inputs."""


class ClassificationMetric(LocalMetric):
    """A metric of predicted and true class ids.

    Args:
        num_classes: C; every class counts, also one that the evaluated rows do not hold.
    """

    greater_is_better = True
    outputs: ClassVar[str | tuple[str, ...]] = ("classes", "ranks", "tags")

    def __init__(self, num_classes: int):
        super().__init__()
        self.num_classes = num_classes

    def _features(self) -> datasets.Features:
        return datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")})

    def _compute(self, *, references: list[int], **outputs: list[Any]) -> dict[str, float]:
        (predictions,) = outputs.values()  # classes, or probabilities where the metric wants them
        return {self.key: float(self.value(np.asarray(predictions), np.asarray(references)))}

    @abstractmethod
    def value(self, predictions: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of class ids [n] and [n]."""


class ProbabilityMetric(ClassificationMetric):
    """A metric of probabilities and true class ids.

    Args:
        num_classes: As there.
    """

    outputs: ClassVar[str | tuple[str, ...]] = "classes"
    wants_probabilities = True

    def _features(self) -> datasets.Features:
        scores = datasets.Sequence(datasets.Value("float64"))
        return datasets.Features({"prediction_scores": scores, "references": datasets.Value("int64")})

    @abstractmethod
    def of_logits(self, logits: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of the logits' probabilities, [n, C], without having all of them at once."""


class LabelMetric(LocalMetric):
    """A metric of the probabilities of labels of which a row may have several.

    Shape:
        prediction_scores [n, L] probabilities, references [n, L]: 1, 0, or -100 where it is not known.
    """

    greater_is_better = True
    outputs: ClassVar[str | tuple[str, ...]] = "labels"
    wants_probabilities = True

    def _features(self) -> datasets.Features:
        scores, answers = (datasets.Sequence(datasets.Value(kind)) for kind in ("float64", "int64"))
        return datasets.Features({"prediction_scores": scores, "references": answers})

    def _compute(self, *, prediction_scores: list[Any], references: list[Any]) -> dict[str, float]:
        return {self.key: float(self.value(np.asarray(prediction_scores, np.float64), np.asarray(references)))}

    @abstractmethod
    def value(self, scores: np.ndarray, references: np.ndarray) -> float:
        """Return the metric of probabilities [n, L] and answers [n, L]."""


class RegressionMetric(LocalMetric):
    """A metric of predicted and true real values, in the targets' original units.

    With several targets the value is the mean over targets, and each target has its own beside it. A target counts in
    the rows that have it, whose reference is not NaN; one that no row has is NaN, and left out of the mean.

    Args:
        target_names: Names of the D targets, for the values per target. None: their numbers.

    Shape:
        predictions and references [n] or [n, D] -> one value, and D more if D > 1.
    """

    outputs: ClassVar[str | tuple[str, ...]] = "values"

    def __init__(self, target_names: Sequence[str] | None = None):
        super().__init__()
        self.target_names = target_names

    def _features(self) -> list[datasets.Features]:
        number = datasets.Value("float64")
        return [
            datasets.Features({"predictions": kind, "references": kind})
            for kind in (number, datasets.Sequence(number))
        ]

    def _compute(self, *, predictions: list[Any], references: list[Any]) -> dict[str, float]:
        columns = np.asarray(predictions, dtype=np.float64).reshape(len(predictions), -1).T
        truths = np.asarray(references, dtype=np.float64).reshape(len(references), -1).T
        pairs = enumerate(zip(columns, truths, strict=True))
        values = [self._of_target(target, predicted, truth) for target, (predicted, truth) in pairs]
        return per_target(self.key, values, self.target_names)

    def _of_target(self, target: int, predictions: np.ndarray, references: np.ndarray) -> float | None:
        """Return the metric over the rows that have a target; None: there are none."""
        given, weights = ~np.isnan(references), self.weights
        if not given.any():
            return None
        if given.all():
            return float(self.value(predictions, references, target))
        self.weights = None if weights is None else weights[given]
        try:
            return float(self.value(predictions[given], references[given], target))
        finally:
            self.weights = weights

    @abstractmethod
    def value(self, predictions: np.ndarray, references: np.ndarray, target: int) -> float:
        """Return the metric of one target, [n] and [n]."""


def per_target(key: str, values: Sequence[float | None], names: Sequence[str] | None = None) -> dict[str, float]:
    """Return the mean over targets, and with several targets one value for each, ``{key}_{name}``.

    Args:
        key: The metric's name.
        values: Its value of each target; None: no row has the target. Then it is NaN, and left out of the mean.
        names: Names of the targets; None: their numbers.
    """
    there = [value for value in values if value is not None]
    result = {key: float(np.mean(there)) if there else math.nan}
    if len(values) > 1:
        names = names or [str(target) for target in range(len(values))]
        each = zip(names, values, strict=True)
        result |= {f"{key}_{name}": math.nan if value is None else value for name, value in each}
    return result
