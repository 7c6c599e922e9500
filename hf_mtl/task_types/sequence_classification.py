"""One class per text or pair of texts."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from pydantic import Field, WithJsonSchema
from torch import Tensor
from torch.nn import functional as F

from hf_mtl.data.one_class import OneClass
from hf_mtl.errors import Mistake
from hf_mtl.evaluation.checks import f1_mistakes
from hf_mtl.evaluation.classes import (
    absent_classes,
    class_ids,
    class_measure,
    class_shares,
    linear_classes,
    undefined_of_classes,
)
from hf_mtl.evaluation.compact import CLASSES_ALONE
from hf_mtl.evaluation.outputs import ClassOutputs, wants_logits
from hf_mtl.modeling.class_weights import check_weights, compare_weights, fit_weights
from hf_mtl.modeling.statistics import ClassWeights
from hf_mtl.tasks import MetricSpec, register
from hf_mtl.tasks.scoring import Compact, Metric, Outputs
from hf_mtl.tasks.statistics import TaskStatistics

FOCAL_GAMMA = 2.0
# For editors; whoever uses the weights refuses others in words of its own.
_Weight: TypeAlias = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0})]


@register
class SequenceClassification(OneClass):
    """One class per text or pair of texts.

    Args:
        labels: Class names in id order, or their number. None: from the dataset's ClassLabel, or from the data.
        loss: ``cross_entropy``, or ``focal`` (Lin et al. 2017, arXiv:1708.02002, gamma 2).
        class_weights: ``balanced`` (n / (C n_c), and 1 for a class without training rows), one weight per class in
            id order, or a mapping by class name. Weights are scaled to a mean of 1 over the training rows, and the
            loss is divided by rows, not by weights as torch does: the update must not depend on how rows are split
            into batches.
        label_smoothing: Mass spread over all classes, in [0, 1).
    """

    outputs_are: ClassVar[str] = "classes"
    can_calibrate: ClassVar[bool] = True
    weights_key: ClassVar[str | None] = "class_weights"
    auto_model: ClassVar[str | None] = "AutoModelForSequenceClassification"
    problem_type: ClassVar[str | None] = "single_label_classification"
    other_names: ClassVar[tuple[str, ...]] = (
        "classification",
        "text_classification",
        "single_label_classification",
    )

    type: Literal["sequence_classification"] = "sequence_classification"
    metrics: list[MetricSpec] = Field(default_factory=lambda: [MetricSpec(name="f1_macro")])
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    class_weights: Literal["balanced"] | list[_Weight] | dict[str, _Weight] | None = None
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @property
    def output_names(self) -> list[str]:
        """The class names, in id order."""
        return self.label_names or []

    @property
    def num_outputs(self) -> int:
        """Number of classes C.

        Raises:
            ValueError: While the classes are not known.
        """
        return self.num_classes

    @property
    def is_weighted(self) -> bool:
        """Tell whether there are class weights."""
        return self.class_weights is not None

    def key_mistakes(self, name: str) -> Iterator[Mistake]:
        """Compare the class weights with the classes."""
        if self.label_names is not None:
            yield from check_weights(self.class_weights, self.label_names, f"tasks.{name}.class_weights")

    def new_statistics(self) -> TaskStatistics:
        """Keep class weights, where there are some."""
        return super().new_statistics() if self.class_weights is None else ClassWeights(self.num_outputs)

    def fit_statistics(self, name: str, statistics: TaskStatistics, labels: np.ndarray, keep: bool) -> list[str]:
        """Scale the class weights to a mean of 1 over the training rows."""
        if self.class_weights is None:
            return []
        counts = self.class_counts(labels)
        weights = fit_weights(self.class_weights, self.output_names, counts, f"tasks.{name}.class_weights")
        if keep:
            return compare_weights(statistics, weights, self.output_names, counts)
        statistics.fit(weights=weights)
        return []

    def row_losses(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute cross-entropy, or the focal loss, times the weight of the row's class."""
        labels = labels.reshape(-1).long()
        logits = outputs.float()
        losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)
        if self.loss == "focal":
            # Of the logits, not exp(-loss), which would hold the label smoothing too.
            probability = torch.softmax(logits, dim=-1).gather(1, labels.unsqueeze(1)).squeeze(1)
            losses = (1 - probability) ** FOCAL_GAMMA * losses
        return losses if weights is None else losses * weights.float()[labels]

    def compact(self, places: tuple[int, ...] = ()) -> Compact | None:
        """Keep the predicted classes alone, where no metric wants probabilities."""
        return None if wants_logits(self) else CLASSES_ALONE

    def outputs_of(self, raw: np.ndarray) -> Outputs:
        """Find the predicted classes."""
        return ClassOutputs.of(raw)

    def gathered(self, batches: Iterable[np.ndarray]) -> Outputs:
        """Keep the logits only where a metric wants them."""
        return ClassOutputs.gathered(batches, wants_logits(self))

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        """Predict the class of the largest logit, the first of equal ones, int64 [n]."""
        return ClassOutputs.of(raw).predicted

    def metric_mistakes(self, key: str, spec: MetricSpec) -> Iterator[Mistake]:
        """Compare the classes of an f1 with the task's."""
        if spec.name == "f1" and self.label_names is not None:
            yield from f1_mistakes(key, spec, self.label_names)

    def metric_options(self, spec: MetricSpec, statistics: Mapping[str, Sequence[float]], key: str) -> dict[str, Any]:
        """Tell the number of classes, and an f1 which of them are meant."""
        options: dict[str, Any] = {"num_classes": self.num_outputs}
        if spec.name == "f1":
            options["labels"] = class_ids(spec, self.output_names, key)
        return options

    def measure(self, metric: Metric, outputs: Outputs, labels: np.ndarray) -> dict[str, float]:
        """Give the metric classes, or probabilities where it wants them."""
        assert isinstance(outputs, ClassOutputs)  # what `outputs_of` and the like have made
        return class_measure(metric, outputs, labels.reshape(-1))

    def perfect_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Give the true class a logit of 10."""
        found: np.ndarray = 10 * np.eye(self.num_outputs, dtype=np.float32)[labels]
        return found

    def undefined(self, spec: MetricSpec, labels: np.ndarray) -> Iterator[tuple[str, str, str]]:
        """Find metrics that need rows of two classes, or of those that they are about."""
        return undefined_of_classes(spec, self.output_names, labels)

    def absent(self, labels: np.ndarray) -> list[str]:
        """Name classes without rows, each of which counts 0 in f1_macro and recall_macro."""
        return absent_classes(self.metrics, self.label_names or [], labels)

    def sameness(self, outputs: Outputs, labels: np.ndarray) -> Iterator[str]:
        """Find one class that is predicted for all rows."""
        assert isinstance(outputs, ClassOutputs)
        predicted = np.unique(outputs.predicted)
        if len(predicted) == 1 and len(np.unique(labels)) > 1:
            yield f"all {len(outputs):,} rows are predicted '{self.output_names[int(predicted[0])]}'."

    def constant_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Predict the shares of the classes."""
        return class_shares(labels, self.num_outputs)

    def linear_outputs(self, features: Any, labels: np.ndarray, constant: np.ndarray) -> Callable[[Any], np.ndarray]:
        """Fit a logistic regression."""
        return linear_classes(features, labels, self.num_outputs)
