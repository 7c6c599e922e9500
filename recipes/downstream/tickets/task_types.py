"""A type of task, known to recipes by the name in its field `type`: how often something happens."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from datasets import Dataset
from pydantic import Field
from torch import Tensor

from hf_mtl.errors import DataError, Mistake
from hf_mtl.evaluation.outputs import PlainOutputs
from hf_mtl.tasks import MetricSpec, Task, register
from hf_mtl.tasks.predicting import Prediction, RowOutputs
from hf_mtl.tasks.scoring import Metric, Outputs

_LEAST = 1e-3  # a rate whose logarithm is a number


@register
class Count(Task):
    """How often something happens in a text: 0, 1, 2, ...; its one output is the logarithm of a Poisson rate.

    Args:
        label: A column of whole numbers from 0 on.
    """

    outputs_are: ClassVar[str] = "counts"

    type: Literal["count"] = "count"
    label: str = "label"
    metrics: list[MetricSpec] = Field(default_factory=lambda: [MetricSpec(name="within_one")])

    @property
    def num_outputs(self) -> int:
        """One."""
        return 1

    @property
    def output_names(self) -> list[str]:
        """The logarithm of the rate."""
        return ["log rate"]

    def encode(self, name: str, split: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Read the counts, float64 [n], and which are missing, bool [n]."""
        values = np.array([np.nan if value is None else value for value in dataset[self.label]], dtype=np.float64)
        missing = np.isnan(values)
        known = values[~missing]
        if (known < 0).any() or (known != np.floor(known)).any():
            raise DataError(Mistake(f"tasks.{name}.label", f"{split} has labels that are no counts", "0, 1, 2, ..."))
        return values, missing

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Keep the shares of the counts where rows are drawn."""
        return labels.astype(np.int64)

    def train_notes(self, labels: np.ndarray) -> list[str]:
        """Say where there is nothing to learn."""
        return ["every training row has the same count."] if len(np.unique(labels)) == 1 else []

    def row_losses(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute the Poisson loss of each row, without what does not depend on the output."""
        rates = outputs.float().reshape(-1)
        return torch.exp(rates) - labels.float().reshape(-1) * rates

    def outputs_of(self, raw: np.ndarray) -> Outputs:
        """Keep the outputs as they are."""
        return PlainOutputs(raw)

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        """Predict the rate, rounded."""
        return np.round(np.exp(np.clip(raw.reshape(-1), -10, 10)))

    def predicted(self, found: RowOutputs) -> list[Prediction]:
        """Give the rate of each row, for `MultiTaskModel.predict` and the files that `hf-mtl predict` writes."""
        return [{"value": rate} for rate in np.exp(found.outputs.reshape(-1).astype(np.float64)).tolist()]

    def measure(self, metric: Metric, outputs: Outputs, labels: np.ndarray) -> dict[str, float]:
        """Give the metric counts."""
        assert isinstance(outputs, PlainOutputs)
        return metric.compute(predictions=self.predictions(outputs.values), references=labels.reshape(-1))

    def perfect_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Give outputs that predict the labels."""
        return np.log(np.maximum(labels.reshape(-1, 1), _LEAST)).astype(np.float32)

    def sameness(self, outputs: Outputs, labels: np.ndarray) -> Iterator[str]:
        """Find one count that is predicted for all rows."""
        assert isinstance(outputs, PlainOutputs)
        if len(np.unique(self.predictions(outputs.values))) == 1 < len(np.unique(labels)):
            yield "all rows are predicted the same count."

    def constant_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Predict the mean, for the baseline."""
        return np.log(np.maximum([labels.mean()], _LEAST))

    def linear_outputs(self, features: Any, labels: np.ndarray, constant: np.ndarray) -> Callable[[Any], np.ndarray]:
        """Fit a Poisson regression, for the baseline."""
        from sklearn.linear_model import PoissonRegressor

        model = PoissonRegressor().fit(features.toarray(), labels.reshape(-1))
        return lambda features: np.log(np.maximum(model.predict(features.toarray()), _LEAST)).reshape(-1, 1)
