"""One class per text or pair of texts."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from hf_mtl.data.soft_labels import encode_soft, resolve_soft
from hf_mtl.data.train_notes import absent_notes
from hf_mtl.errors import DataError, Mistake
from hf_mtl.evaluation.candidates import class_candidates
from hf_mtl.evaluation.checks import f1_mistakes
from hf_mtl.evaluation.classes import (
    absent_classes,
    class_ids,
    class_masses,
    class_measure,
    class_shares,
    likeliest,
    linear_classes,
    undefined_of_classes,
)
from hf_mtl.evaluation.compact import CLASSES_ALONE
from hf_mtl.evaluation.named import best_classes, class_columns, ranked_classes
from hf_mtl.evaluation.outputs import ClassOutputs, probabilities, wants_logits
from hf_mtl.modeling.class_outputs import OutputPerClass
from hf_mtl.modeling.class_weights import check_weights
from hf_mtl.tasks import MetricSpec, register
from hf_mtl.tasks.predicting import Prediction, RowOutputs
from hf_mtl.tasks.scoring import Candidates, Compact, Metric, Outputs

FOCAL_GAMMA = 2.0


@register
class SequenceClassification(OutputPerClass):
    """One class per text or pair of texts.

    Args:
        labels: Class names in id order, or their number. None: from the dataset's ClassLabel, or from the data.
        loss: ``cross_entropy``, or ``focal`` (Lin et al. 2017, arXiv:1708.02002, gamma 2).
        class_weights: ``balanced`` (n / (C n_c), and 1 for a class without training rows), one weight per class in
            id order, or a mapping by class name. Weights are scaled to a mean of 1 over the training rows, and the
            loss is divided by rows, not by weights as torch does: the update must not depend on how rows are split
            into batches.
        label_smoothing: Mass spread over all classes, in [0, 1).
        soft_labels: The label column holds a number for each class, votes or shares: lists in id order, or mappings
            by class name. They are scaled to shares q that sum to 1, and a row's loss is the mean over q of what it
            would be if the row were of the class: with cross-entropy, -sum q log p. Metrics, strata and counts take
            the class of the largest share, the first of equal ones.
    """

    outputs_are: ClassVar[str] = "classes"
    auto_model: ClassVar[str | None] = "AutoModelForSequenceClassification"
    problem_type: ClassVar[str | None] = "single_label_classification"
    other_names: ClassVar[tuple[str, ...]] = (
        "classification",
        "text_classification",
        "single_label_classification",
    )

    truth_keys: ClassVar[tuple[str, ...]] = (*OutputPerClass.truth_keys, "soft_labels")
    scoring_keys: ClassVar[tuple[str, ...]] = (*OutputPerClass.scoring_keys, "soft_labels")

    type: Literal["sequence_classification"] = "sequence_classification"
    metrics: list[MetricSpec] = Field(default_factory=lambda: [MetricSpec(name="f1_macro")])
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    soft_labels: bool = False

    def key_mistakes(self, name: str) -> Iterator[Mistake]:
        """Compare the class weights with the classes."""
        if self.label_names is not None:
            yield from check_weights(self.class_weights, self.label_names, f"tasks.{name}.class_weights")

    def resolve(self, name: str, splits: Mapping[str, Dataset]) -> Self:
        """Name the classes."""
        if not self.soft_labels:
            return super().resolve(name, splits)
        return self.model_copy(update={"labels": resolve_soft(self.labels, self.label, name, splits)})

    def encode(self, name: str, split: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Make class ids, int64 [n], or shares of the classes, float64 [n, C]."""
        if not self.soft_labels:
            return super().encode(name, split, dataset)
        if self.label_names is None:
            raise DataError(list(self.unknown_outputs(name)))
        return encode_soft(self.label_names, self.label, name, split, dataset)

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Keep the shares of the classes."""
        return likeliest(labels)

    def class_counts(self, labels: np.ndarray) -> np.ndarray:
        """Count the rows of each class, soft ones by their largest share."""
        return super().class_counts(likeliest(labels))

    def label_notes(self, name: str, train: Dataset, given: Self | None) -> list[str]:
        """Say how values became classes; the classes of soft labels are named by the data, or numbered."""
        return [] if self.soft_labels else super().label_notes(name, train, given)

    def train_notes(self, labels: np.ndarray) -> list[str]:
        """Name the classes that no training row has, or has a share of."""
        return absent_notes(self.label_names or [], class_masses(labels, self.num_classes))

    def counts_in_loss(self, labels: np.ndarray) -> np.ndarray:
        """Count the rows of each class, soft ones by their shares."""
        return class_masses(labels, self.num_outputs)

    def row_losses(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute cross-entropy, or the focal loss, times the weight of the row's class; of soft labels its mean."""
        if self.soft_labels:
            return self._soft_losses(outputs.float(), labels, weights)
        labels = labels.reshape(-1).long()
        logits = outputs.float()
        losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)
        if self.loss == "focal":
            # Of the logits, not exp(-loss), which would hold the label smoothing too.
            probability = torch.softmax(logits, dim=-1).gather(1, labels.unsqueeze(1)).squeeze(1)
            losses = (1 - probability) ** FOCAL_GAMMA * losses
        return losses if weights is None else losses * weights.float()[labels]

    def _soft_losses(self, logits: Tensor, shares: Tensor, weights: Tensor | None) -> Tensor:
        """Average over the shares what the loss would be if the row were of each class."""
        likelihoods = torch.log_softmax(logits, dim=-1)
        losses = -likelihoods
        if self.label_smoothing:
            spread = losses.mean(dim=-1, keepdim=True)
            losses = (1 - self.label_smoothing) * losses + self.label_smoothing * spread
        if self.loss == "focal":
            losses = (1 - likelihoods.exp()) ** FOCAL_GAMMA * losses
        losses = losses if weights is None else losses * weights.float()
        # Chosen and not only multiplied: a class without a share may have an infinite loss.
        return torch.where(shares > 0, shares.float() * losses, 0.0).sum(dim=-1)

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

    def predicted(self, found: RowOutputs) -> list[Prediction]:
        """Name the predicted class, with its probability."""
        return best_classes(self.output_names, probabilities(found.outputs), self.predictions(found.outputs))

    def ranked(self, found: RowOutputs, most: int | None) -> list[list[dict[str, Any]]]:
        """Name the likeliest classes."""
        return ranked_classes(self.output_names, probabilities(found.outputs), most)

    def columns(self, found: RowOutputs, everything: bool) -> dict[str, pa.Array]:
        """Give ``label`` and ``score``, and ``p.`` with each class's name."""
        chosen = self.predictions(found.outputs)
        return class_columns(self.output_names, probabilities(found.outputs), chosen, everything)

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
        return class_measure(metric, outputs, likeliest(labels))

    def perfect_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Give the true class a logit of 10."""
        found: np.ndarray = 10 * np.eye(self.num_outputs, dtype=np.float32)[likeliest(labels)]
        return found

    def undefined(self, spec: MetricSpec, labels: np.ndarray) -> Iterator[tuple[str, str, str]]:
        """Find metrics that need rows of two classes, or of those that they are about."""
        return undefined_of_classes(spec, self.output_names, likeliest(labels))

    def absent(self, labels: np.ndarray) -> list[str]:
        """Name classes without rows, each of which counts 0 in f1_macro and recall_macro."""
        return absent_classes(self.metrics, self.label_names or [], likeliest(labels))

    def sameness(self, outputs: Outputs, labels: np.ndarray) -> Iterator[str]:
        """Find one class that is predicted for all rows."""
        assert isinstance(outputs, ClassOutputs)
        predicted = np.unique(outputs.predicted)
        if len(predicted) == 1 and len(np.unique(likeliest(labels))) > 1:
            yield f"all {len(outputs):,} rows are predicted '{self.output_names[int(predicted[0])]}'."

    def candidates(self, texts: Sequence[Any]) -> Candidates:
        """Let each row have any class; their scores are logits."""
        return class_candidates(texts, self.output_names, np.stack)

    def constant_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Predict the shares of the classes."""
        return class_shares(labels, self.num_outputs)

    def linear_outputs(self, features: Any, labels: np.ndarray, constant: np.ndarray) -> Callable[[Any], np.ndarray]:
        """Fit a logistic regression."""
        return linear_classes(features, labels, self.num_outputs)
