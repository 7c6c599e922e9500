"""A task type that hf_mtl has not: labels that are there or not, each for itself. It needs this file alone."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from datasets import Dataset
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from hf_mtl.errors import DataError, Mistake
from hf_mtl.evaluation.outputs import PlainOutputs
from hf_mtl.evaluation.registry import Entry
from hf_mtl.tasks import MetricSpec, Task
from hf_mtl.tasks.predicting import Prediction, RowOutputs
from hf_mtl.tasks.scoring import Metric, Outputs
from tests.task_types.sample import Sample, texts


class IndependentLabels(Task):
    """Several labels per text, each there (1) or not (0).

    Args:
        label: One column per label.
    """

    outputs_are: ClassVar[str] = "independent labels"

    type: Literal["independent_labels"] = "independent_labels"
    label: list[str] = Field(min_length=1)
    metrics: list[MetricSpec] = Field(default_factory=lambda: [MetricSpec(name="exact_match")])

    @property
    def num_outputs(self) -> int:
        return len(self.label)

    @property
    def output_names(self) -> list[str]:
        return self.label

    def encode(self, name: str, split: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        columns = [[np.nan if value is None else value for value in dataset[column]] for column in self.label]
        values = np.array(columns, dtype=np.float64).T
        missing = np.isnan(values).any(axis=1)
        if not np.isin(values[~missing], (0, 1)).all():
            raise DataError(Mistake(f"tasks.{name}.label", f"{split} has other labels than 0 and 1"))
        return values, missing

    def strata(self, labels: np.ndarray) -> np.ndarray:
        return (labels @ 2.0 ** np.arange(self.num_outputs)).astype(np.int64)

    def train_notes(self, labels: np.ndarray) -> list[str]:
        never = [name for name, there in zip(self.label, labels.any(axis=0), strict=True) if not there]
        return [f"train has no row with {', '.join(never)}."] if never else []

    def row_losses(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        losses = F.binary_cross_entropy_with_logits(outputs.float(), labels.float(), reduction="none")
        return losses.mean(dim=-1)

    def outputs_of(self, raw: np.ndarray) -> Outputs:
        return PlainOutputs(raw)

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        return (raw > 0).astype(np.float64)

    def predicted(self, found: RowOutputs) -> list[Prediction]:
        there = self.predictions(found.outputs) == 1
        return [[{"label": self.label[place]} for place in np.flatnonzero(row)] for row in there]

    def measure(self, metric: Metric, outputs: Outputs, labels: np.ndarray) -> dict[str, float]:
        assert isinstance(outputs, PlainOutputs)
        return metric.compute(predictions=self.predictions(outputs.values), references=labels)

    def perfect_outputs(self, labels: np.ndarray) -> np.ndarray:
        return (20 * labels - 10).astype(np.float32)

    def sameness(self, outputs: Outputs, labels: np.ndarray) -> Iterator[str]:
        assert isinstance(outputs, PlainOutputs)
        if len(np.unique(self.predictions(outputs.values), axis=0)) == 1 < len(np.unique(labels, axis=0)):
            yield "all rows are predicted the same."

    def constant_outputs(self, labels: np.ndarray) -> np.ndarray:
        shares = labels.mean(axis=0).clip(1e-6, 1 - 1e-6)
        return np.log(shares / (1 - shares))

    def linear_outputs(self, features: Any, labels: np.ndarray, constant: np.ndarray) -> Callable[[Any], np.ndarray]:
        from sklearn.linear_model import Ridge

        model = Ridge().fit(features, labels)
        return lambda features: np.asarray(model.predict(features)).reshape(-1, self.num_outputs) - 0.5


class ExactMatch:
    """Share of the rows whose labels are all right."""

    key = "exact_match"
    wants_probabilities = False

    def compute(self, *, predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:
        return {"exact_match": float((predictions == references).all(axis=1).mean())}


EXACT_MATCH = Entry(__name__, "ExactMatch", "independent labels")


def rows(count: int) -> Dataset:
    found, share = texts(count)
    labels = {"high": share > 0.5, "low": share < 0.4, "even": np.floor(share * 10) % 2 == 0}
    return Dataset.from_dict({"text": found, **{name: there.astype(int) for name, there in labels.items()}})


def loss(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    right = np.where(labels == 1, outputs, -outputs)
    return np.log1p(np.exp(-right)).mean(axis=1)


SAMPLE = Sample(IndependentLabels(label=["high", "low", "even"]), rows, loss)
