"""Several labels per text or pair of texts, each there or not."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor
from torch.nn import functional as F

from hf_mtl.data.class_labels import found_notes
from hf_mtl.data.class_names import numbered_names
from hf_mtl.data.label_sets import UNKNOWN, encode_label_sets, resolve_labels
from hf_mtl.data.spelling import number_types
from hf_mtl.data.train_notes import label_set_notes
from hf_mtl.errors import DataError, Mistake
from hf_mtl.evaluation.binary import linear_binaries, share_logits
from hf_mtl.evaluation.classes import class_ids
from hf_mtl.evaluation.label_sets import label_measure, metric_mistakes, undefined_of_labels
from hf_mtl.evaluation.named import probability_columns, ranked_classes, sigmoid
from hf_mtl.evaluation.outputs import PlainOutputs
from hf_mtl.evaluation.thresholds import threshold_logits, threshold_mistakes, tune_thresholds
from hf_mtl.modeling.label_weights import compare_positive_weights, fit_positive_weights, positive_weight_mistakes
from hf_mtl.modeling.statistics import LabelWeights
from hf_mtl.tasks import MetricSpec, Task, register
from hf_mtl.tasks.predicting import Prediction, RowOutputs
from hf_mtl.tasks.scoring import Metric, Outputs
from hf_mtl.tasks.statistics import TaskStatistics

_MOST_LABELS = 100_000  # that are only counted: each gets a name and a row of the head, before any data is looked at
_Threshold: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
_Weight: TypeAlias = Annotated[float, Field(ge=0)]


@register
class MultiLabelClassification(Task):
    """Several labels per text or pair of texts, each there or not.

    A row's loss is the mean over its known labels of their cross-entropies. A label is not known where its value is
    None, NaN or -100; it takes no part in loss, metrics and baselines. So a row of which one label is known counts as
    much as one of which all are.

    Args:
        label: One column of lists (of names, or of 1 and 0 for each label), or a column of 1 and 0 for each label.
        labels: Their names, or their number. None: the columns', the dataset's ClassLabel's, or those in the data.
        positive_weight: What a row with a label weighs in its loss beside one without: a number, one for each label,
            a mapping by label, or ``balanced`` (rows without over rows with it). Scaled so that the mean over all
            known labels of the training rows is 1.
        thresholds: A label is predicted where its probability is above: a number, one for each label, a mapping by
            label; or ``tuned``: chosen after training, for each label's F1 on the validation rows, and kept with the
            model (0.5 until then).
    """

    outputs_are: ClassVar[str] = "labels"
    auto_model: ClassVar[str | None] = "AutoModelForSequenceClassification"
    problem_type: ClassVar[str | None] = "multi_label_classification"
    other_names: ClassVar[tuple[str, ...]] = ("multi_label", "multilabel", "multi_label_text_classification")
    outputs_key: ClassVar[str] = "labels"
    truth_keys: ClassVar[tuple[str, ...]] = (*Task.truth_keys, "labels")
    scoring_keys: ClassVar[tuple[str, ...]] = (*Task.scoring_keys, "labels", "thresholds")
    weights_key: ClassVar[str | None] = "positive_weight"

    type: Literal["multi_label_classification"] = "multi_label_classification"
    label: str | Annotated[list[str], Field(min_length=1)] = "label"
    labels: list[str] | Annotated[int, Field(ge=1, le=_MOST_LABELS)] | None = None
    metrics: list[MetricSpec] = Field(default_factory=lambda: [MetricSpec(name="f1_macro")])
    positive_weight: Literal["balanced"] | _Weight | list[_Weight] | dict[str, _Weight] | None = None
    thresholds: Literal["tuned"] | _Threshold | list[_Threshold] | dict[str, _Threshold] = 0.5

    @field_validator("labels")
    @classmethod
    def _a_name_for_each(cls, value: list[str] | int | None, info: ValidationInfo) -> list[str] | int | None:
        columns, count = info.data.get("label"), value
        if isinstance(value, list):
            count = len(value)
            if not value or len(set(value)) < count or not all(name.strip() for name in value):
                raise ValueError("different names, none of them blank")
        if isinstance(columns, list) and count is not None and count != len(columns):
            raise ValueError(f"{count}, and there are {len(columns)} label columns: one for each, in their order")
        return value

    @property
    def label_names(self) -> list[str] | None:
        """The labels, or None while they are not known."""
        if self.labels is None or (isinstance(self.labels, int) and isinstance(self.label, list)):
            return self.label if isinstance(self.label, list) else None
        return numbered_names(self.labels) if isinstance(self.labels, int) else self.labels

    @property
    def output_names(self) -> list[str]:
        """The labels."""
        return self.label_names or []

    @property
    def num_outputs(self) -> int:
        """Number of labels L.

        Raises:
            ValueError: While the labels are not known.
        """
        if self.label_names is None:
            raise ValueError("the labels are not known: give labels, their names or their number")
        return len(self.label_names)

    @property
    def is_weighted(self) -> bool:
        """Tell whether rows with a label weigh otherwise than those without."""
        return self.positive_weight is not None

    @property
    def tuned_by(self) -> str | None:
        """The thresholds, if they are to be tuned."""
        return "thresholds" if self.thresholds == "tuned" else None

    def key_mistakes(self, name: str) -> Iterator[Mistake]:
        """Compare weights and thresholds with the labels."""
        if self.label_names is not None:
            yield from positive_weight_mistakes(
                self.positive_weight, self.label_names, f"tasks.{name}.positive_weight"
            )
            yield from threshold_mistakes(self.thresholds, self.label_names, f"tasks.{name}.thresholds")

    def unknown_outputs(self, name: str) -> Iterator[Mistake]:
        """Refuse labels that nobody has named or counted, and weights and thresholds of others."""
        if self.label_names is None:
            remedy = "Give labels: their names, or their number"
            yield Mistake(f"tasks.{name}.labels", "the labels are not known", remedy)
        yield from self.key_mistakes(name)

    def label_types(self, values: Mapping[str, pa.Array], filtered: bool) -> Mapping[str, pa.DataType]:
        """Read a column of 1 and 0, or of true and false, as that."""
        return number_types(values)

    def resolve(self, name: str, splits: Mapping[str, Dataset]) -> Self:
        """Name the labels."""
        found = self.label_names
        if isinstance(self.label, str):
            found = resolve_labels(self.labels, self.label, name, splits)
        resolved = self.model_copy(update={"labels": found})
        if mistakes := list(resolved.key_mistakes(name)):
            raise DataError(mistakes)
        return resolved

    def encode(self, name: str, split: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Tell which labels each row has, int8 [n, L]."""
        if self.label_names is None:
            raise DataError(list(self.unknown_outputs(name)))
        lists = isinstance(self.label, str)
        return encode_label_sets(self.label_names, self.label_columns, name, split, dataset, lists)

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Group rows by the rarest of their labels, so that rare ones keep a row."""
        has = labels == 1
        rows = np.where(has, has.sum(axis=0), len(labels) + 1)
        return np.where(has.any(axis=1), rows.argmin(axis=1) + 1, 0)

    def class_counts(self, labels: np.ndarray) -> np.ndarray:
        """Count the rows with each label."""
        return np.asarray((labels == 1).sum(axis=0))

    def unknown_counts(self, labels: np.ndarray) -> np.ndarray:
        """Count the rows that do not tell of each label."""
        return np.asarray((labels == UNKNOWN).sum(axis=0))

    def label_notes(self, name: str, train: Dataset, given: Self | None) -> list[str]:
        """Say what is odd about labels that were found."""
        found = given is not None and given.label_names is None
        return found_notes(self.output_names, self.label_columns[0], name) if found else []

    def train_notes(self, labels: np.ndarray) -> list[str]:
        """Name the labels that no training row has, or that all have."""
        return label_set_notes(self.output_names, (labels == 0).sum(axis=0), self.class_counts(labels))

    def new_statistics(self) -> TaskStatistics:
        """Keep the weights of rows with and without each label, where they weigh otherwise."""
        return super().new_statistics() if self.positive_weight is None else LabelWeights(self.num_outputs)

    def fit_statistics(self, name: str, statistics: TaskStatistics, labels: np.ndarray, keep: bool) -> list[str]:
        """Scale the weights to a mean of 1 over the known labels of the training rows."""
        if self.positive_weight is None:
            return []
        names, no, key = self.output_names, (labels == 0).sum(axis=0), f"tasks.{name}.positive_weight"
        negative, positive = fit_positive_weights(self.positive_weight, names, no, self.class_counts(labels), key)
        if keep:
            return compare_positive_weights(statistics, positive, names)
        statistics.fit(negative=negative, positive=positive)
        return []

    def row_losses(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Average the cross-entropies over the row's known labels, times the weights of their values."""
        answers = labels.reshape(outputs.shape)
        yes, known = answers == 1, answers != UNKNOWN
        losses = F.binary_cross_entropy_with_logits(outputs.float(), yes.float(), reduction="none")
        if weights is not None:
            losses = losses * torch.where(yes, weights[1].float(), weights[0].float())
        # Chosen and not multiplied by 0: of an infinite output that would be no number.
        return torch.where(known, losses, 0.0).sum(dim=-1) / known.sum(dim=-1).clamp(min=1)

    def outputs_of(self, raw: np.ndarray) -> Outputs:
        """Score the outputs as they are."""
        return PlainOutputs(raw)

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        """Predict the labels whose probability is above their threshold, int8 [n, L]."""
        return (raw.astype(np.float64) > threshold_logits(self.thresholds, self.output_names)).astype(np.int8)

    def predicted(self, found: RowOutputs) -> list[Prediction]:
        """Name the labels whose probability is above their threshold, the likeliest first; there may be none."""
        return [*self._above(found)]

    def _above(self, found: RowOutputs) -> list[list[dict[str, Any]]]:
        chosen = [set(np.flatnonzero(row).tolist()) for row in self.predictions(found.outputs)]
        ids = {name: number for number, name in enumerate(self.output_names)}
        ranked = zip(self.ranked(found, None), chosen, strict=True)
        return [[item for item in row if ids[item["label"]] in mine] for row, mine in ranked]

    def ranked(self, found: RowOutputs, most: int | None) -> list[list[dict[str, Any]]]:
        """Name the likeliest labels."""
        return ranked_classes(self.output_names, sigmoid(found.outputs), most)

    def columns(self, found: RowOutputs, everything: bool) -> dict[str, pa.Array]:
        """Give lists of ``labels`` and of their ``scores``, and ``p.`` with each label's name."""
        rows = self._above(found)
        labels, scores = ([[item[key] for item in row] for row in rows] for key in ("label", "score"))
        columns = {
            "labels": pa.array(labels, pa.list_(pa.string())),
            "scores": pa.array(scores, pa.list_(pa.float64())),
        }
        if not everything:
            return columns
        return {**columns, **probability_columns(self.output_names, sigmoid(found.outputs))}

    def tuned(self, raw: np.ndarray, labels: np.ndarray) -> tuple[list[float], list[str]]:
        """Choose the thresholds."""
        return tune_thresholds(raw, labels, self.output_names)

    def exported(self) -> dict[str, Any]:
        """Give the thresholds, which no class of transformers applies."""
        logits = threshold_logits(self.thresholds, self.output_names)
        return {"thresholds": (1 / (1 + np.exp(-logits))).tolist()}

    def metric_mistakes(self, key: str, spec: MetricSpec) -> Iterator[Mistake]:
        """Compare the labels of an f1 with the task's."""
        return metric_mistakes(key, spec, self.label_names)

    def metric_options(self, spec: MetricSpec, statistics: Mapping[str, Sequence[float]], key: str) -> dict[str, Any]:
        """Tell an f1 the number of labels, and which of them are meant."""
        options: dict[str, Any] = {"num_classes": self.num_outputs} if spec.name.startswith("f1") else {}
        return {**options, "labels": class_ids(spec, self.output_names, key)} if spec.name == "f1" else options

    def measure(self, metric: Metric, outputs: Outputs, labels: np.ndarray) -> dict[str, float]:
        """Give the metric predicted labels, or probabilities where it wants them."""
        assert isinstance(outputs, PlainOutputs)  # what `outputs_of` has made
        answers = labels.reshape(len(labels), -1)
        return label_measure(metric, outputs.values, self.predictions(outputs.values), answers)

    def perfect_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Give the labels of a row a logit of 30, and the others -30, which no threshold is beyond."""
        return np.where(labels == 1, 30, -30).astype(np.float32)

    def undefined(self, spec: MetricSpec, labels: np.ndarray) -> Iterator[tuple[str, str, str]]:
        """Find metrics that need rows with a label, or with those that they are about."""
        return undefined_of_labels(spec, self.output_names, self.class_counts(labels))

    def absent(self, labels: np.ndarray) -> list[str]:
        """Name labels without rows, each of which counts 0 in f1_macro."""
        if not any(spec.name == "f1_macro" for spec in self.metrics):
            return []
        return [name for name, count in zip(self.output_names, self.class_counts(labels), strict=True) if not count]

    def sameness(self, outputs: Outputs, labels: np.ndarray) -> Iterator[str]:
        """Find the same labels predicted for all rows."""
        assert isinstance(outputs, PlainOutputs)
        predicted = np.unique(self.predictions(outputs.values), axis=0)
        if len(predicted) == 1 and len(np.unique(labels, axis=0)) > 1:
            chosen = ", ".join(f"'{self.output_names[index]}'" for index in np.flatnonzero(predicted[0]))
            yield f"all {len(outputs):,} rows are predicted {chosen or 'without labels'}."

    def constant_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Predict the share of each label among the rows that tell of it."""
        return share_logits(labels)

    def linear_outputs(self, features: Any, labels: np.ndarray, constant: np.ndarray) -> Callable[[Any], np.ndarray]:
        """Fit a logistic regression to each label, on the rows that tell of it."""
        return linear_binaries(features, labels)
