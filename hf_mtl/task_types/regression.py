"""One or several real targets per text or pair of texts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor
from torch.nn import functional as F

from hf_mtl.data.carve import quintiles
from hf_mtl.data.spelling import number_types
from hf_mtl.data.targets import Range, check_ranges, encode_targets, target_moments
from hf_mtl.data.train_notes import constant_notes
from hf_mtl.errors import DataError, Mistake
from hf_mtl.evaluation.named import shortest
from hf_mtl.evaluation.outputs import PlainOutputs
from hf_mtl.evaluation.values import linear_values
from hf_mtl.modeling.statistics import BoundedStatistics, TargetStatistics, far_note
from hf_mtl.tasks import MetricSpec, Task, register
from hf_mtl.tasks.predicting import Prediction, RowOutputs
from hf_mtl.tasks.scoring import Metric, Outputs
from hf_mtl.tasks.statistics import TaskStatistics

_LOSSES: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}


@register
class Regression(Task):
    """One or several real targets per text or pair of texts.

    Of several targets a row may have some: the others, None or NaN, take no part in loss, statistics, metrics and
    baselines. So a row with one target counts as much as a row that has all.

    Args:
        loss: Per-row loss on standardised targets, averaged over the row's: ``mse``, ``mae`` or ``huber`` (delta 1).
        standardize: Subtract the training mean and divide by the training standard deviation of each target.
            The statistics live in the checkpoint; predictions and metrics are in original units. None: true, where no
            ``range`` is given.
        range: Lowest and highest possible target, one pair, or one for each target: outputs are kept between them by
            a sigmoid, and outputs and targets are divided by the training standard deviation where the loss compares
            them (and not standardised).
    """

    outputs_are: ClassVar[str] = "values"
    real_valued: ClassVar[bool] = True
    auto_model: ClassVar[str | None] = "AutoModelForSequenceClassification"
    problem_type: ClassVar[str | None] = "regression"
    other_names: ClassVar[tuple[str, ...]] = ("sequence_regression", "text_regression")

    type: Literal["regression"] = "regression"
    label: str | Annotated[list[str], Field(min_length=1)] = Field(
        "label", description="Target column, or one column per target."
    )
    metrics: list[MetricSpec] = Field(default_factory=lambda: [MetricSpec(name="pearson")])
    loss: Literal["mse", "mae", "huber"] = "mse"
    standardize: bool | None = None
    range: Range | list[Range] | None = None

    @field_validator("range")
    @classmethod
    def _can_be(cls, value: Range | list[Range] | None, info: ValidationInfo) -> Range | list[Range] | None:
        if value is not None:
            columns = info.data.get("label")
            targets = None if columns is None else 1 if isinstance(columns, str) else len(columns)
            check_ranges(value, targets, info.data.get("standardize"))
        return value

    @property
    def ranges(self) -> list[Range] | None:
        """The range of each target; None: there is none."""
        return [self.range] * self.num_outputs if isinstance(self.range, tuple) else self.range

    @property
    def standardizes(self) -> bool:
        """Whether targets are standardised."""
        return self.range is None if self.standardize is None else self.standardize

    @property
    def not_exported(self) -> str | None:
        """The sigmoid of a range, which no class of transformers has behind a regression."""
        if self.range is None:
            return None
        return "its outputs go through a sigmoid into their range, which no AutoModel of transformers does"

    @property
    def num_outputs(self) -> int:
        """Number of targets D."""
        return len(self.label_columns)

    @property
    def output_names(self) -> list[str]:
        """The target columns."""
        return self.label_columns

    @property
    def scored_apart(self) -> list[str]:
        """The targets, where there are several."""
        return self.label_columns if self.num_outputs > 1 else []

    def label_types(self, values: Mapping[str, pa.Array], filtered: bool) -> Mapping[str, pa.DataType]:
        """Read a column of numbers as numbers."""
        return number_types(values)

    def encode(self, name: str, split: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Read the targets, float64 [n, D]."""
        return encode_targets(self.label_columns, name, split, dataset, self.ranges)

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Keep the fifths of the targets."""
        return quintiles(labels)

    def unknown_counts(self, labels: np.ndarray) -> np.ndarray | None:
        """Count the rows that do not have each of several targets."""
        return np.isnan(labels).sum(axis=0) if self.num_outputs > 1 else None

    def train_notes(self, labels: np.ndarray) -> list[str]:
        """Name the targets that no row has, or that are the same in all."""
        return constant_notes(self.label_columns, labels)

    def new_statistics(self) -> TaskStatistics:
        """Keep mean and standard deviation of targets that are standardised, and the latter of those with a range."""
        if self.ranges is not None:
            return BoundedStatistics(*zip(*self.ranges, strict=True))
        return TargetStatistics(self.num_outputs) if self.standardizes else super().new_statistics()

    def fit_statistics(self, name: str, statistics: TaskStatistics, labels: np.ndarray, keep: bool) -> list[str]:
        """Measure mean and standard deviation of the targets."""
        mean, std = target_moments(labels)
        notes = self._few_digits(mean, std)
        if isinstance(statistics, BoundedStatistics):
            return [*notes, *self._fit_range(statistics, std, keep)]
        if not isinstance(statistics, TargetStatistics):
            return []
        if not keep:
            statistics.fit(mean=mean.tolist(), std=std.tolist())
            return notes
        return notes + [
            far_note(
                f"mean {statistics.mean[place]:g} and the standard deviation {statistics.std[place]:g} of "
                f"'{self.label_columns[place]}'",
                f"{mean[place]:g} and {std[place]:g}",
            )
            for place in statistics.far_from(mean.tolist(), std.tolist())
        ]

    def _fit_range(self, statistics: BoundedStatistics, std: np.ndarray, keep: bool) -> list[str]:
        if not keep:
            statistics.fit(std=std.tolist())
            return []
        return [
            far_note(
                f"standard deviation {statistics.std[place]:g} of '{self.label_columns[place]}'", f"{std[place]:g}"
            )
            for place in statistics.far_from(std.tolist())
        ]

    def _few_digits(self, mean: np.ndarray, std: np.ndarray) -> list[str]:
        """Name targets that differ by hardly more than the numbers of float32, in which models learn and predict."""
        steps = np.spacing(np.abs(mean).astype(np.float32))
        return [
            f"the targets '{self.label_columns[place]}' are around {mean[place]:g} with a standard deviation of "
            f"{std[place]:g}, and float32 has steps of {steps[place]:g} there. Subtract an offset."
            for place in np.flatnonzero((std > 0) & (steps > std / 100))
        ]

    def row_losses(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Average the loss over the targets that the row has, in the units of the outputs."""
        targets, loss = labels.reshape(outputs.shape).float(), _LOSSES[self.loss]
        if self.num_outputs == 1:
            return loss(outputs.float(), targets, reduction="none").mean(dim=-1)
        given = ~torch.isnan(targets)
        # Both are filled before, and no loss is multiplied by 0 after: its gradient would be 0 times NaN.
        filled = [torch.where(given, values, 0.0) for values in (outputs.float(), targets)]
        return loss(*filled, reduction="none").sum(dim=-1) / given.sum(dim=-1).clamp(min=1)

    def outputs_of(self, raw: np.ndarray) -> Outputs:
        """Score the outputs as they are."""
        return PlainOutputs(raw)

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        """Predict the outputs, which are in original units, [n, D]."""
        return raw

    def predicted(self, found: RowOutputs) -> list[Prediction]:
        """Give ``value``, and with a probabilistic head its standard deviation ``std``; of several targets a list."""
        columns = {key: values.tolist() for key, values in self._numbers(found).items()}
        rows: list[Prediction] = []
        for row in range(len(found)):
            targets = [{key: values[row][at] for key, values in columns.items()} for at in range(self.num_outputs)]
            named = [{"label": name, **item} for name, item in zip(self.label_columns, targets, strict=True)]
            rows.append(targets[0] if self.num_outputs == 1 else named)
        return rows

    def columns(self, found: RowOutputs, everything: bool) -> dict[str, pa.Array]:
        """Give ``value`` and ``std``; of several targets each by its name, and that with ``.std``."""
        numbers = self._numbers(found)
        if self.num_outputs == 1:
            return {key: pa.array(values[:, 0], pa.float64()) for key, values in numbers.items()}
        return {
            name if key == "value" else f"{name}.{key}": pa.array(values[:, at], pa.float64())
            for at, name in enumerate(self.label_columns)
            for key, values in numbers.items()
        }

    @staticmethod
    def _numbers(found: RowOutputs) -> dict[str, np.ndarray]:
        """Give values and standard deviations, float64 [n, D] each; the latter where there are some."""
        numbers = {"value": shortest(found.outputs)}
        return numbers if found.variances is None else {**numbers, "std": shortest(np.sqrt(found.variances))}

    def metric_mistakes(self, key: str, spec: MetricSpec) -> Iterator[Mistake]:
        """Refuse mse_z where nothing is standardised."""
        if spec.name == "mse_z" and self.range is None and not self.standardizes:
            remedy = "Only a standardised task stores the training targets' spread; use mse"
            yield Mistake(key, "mse_z with standardize: false", remedy)

    def metric_options(self, spec: MetricSpec, statistics: Mapping[str, Sequence[float]], key: str) -> dict[str, Any]:
        """Tell the names of the targets, and mse_z their spread."""
        options: dict[str, Any] = {"target_names": self.label_columns}
        if spec.name == "mse_z":
            if "std" not in statistics:
                remedy = "They are stored with a model whose task has standardize: true or a range; use mse otherwise"
                raise DataError(Mistake(key, "mse_z without the training targets' statistics", remedy))
            options["target_std"] = statistics["std"]
        return options

    def measure(self, metric: Metric, outputs: Outputs, labels: np.ndarray) -> dict[str, float]:
        """Give the metric targets and predictions, [n] of a single target, else [n, D]."""
        assert isinstance(outputs, PlainOutputs)  # what `outputs_of` has made
        shape = (-1,) if self.num_outputs == 1 else (-1, self.num_outputs)
        targets = np.asarray(labels, dtype=np.float64).reshape(shape)
        predictions = np.asarray(outputs.values, dtype=np.float64).reshape(shape)
        return metric.compute(predictions=predictions, references=targets)

    def perfect_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Give the targets, and 0 for those that a row does not have."""
        return np.nan_to_num(np.array(labels, dtype=np.float32)).reshape(len(labels), -1)

    def undefined(self, spec: MetricSpec, labels: np.ndarray) -> Iterator[tuple[str, str, str]]:
        """Find metrics that need targets that differ."""
        remedy = "Give rows with different targets to evaluate on, or use another metric, such as mse."
        if spec.name not in ("pearson", "spearman", "r2"):
            return
        for column, targets in zip(self.label_columns, labels.reshape(len(labels), -1).T, strict=True):
            values = targets[~np.isnan(targets)]
            if len(values) and np.ptp(values) == 0:
                what = "undefined" if spec.name == "r2" else "0 whatever is predicted"
                of = f" in '{column}'" if self.num_outputs > 1 else ""
                yield what, f"every target{of} is {values[0]:g}", remedy

    def sameness(self, outputs: Outputs, labels: np.ndarray) -> Iterator[str]:
        """Find targets that are predicted the same for all rows."""
        assert isinstance(outputs, PlainOutputs)
        rows = len(outputs)
        columns = zip(self.label_columns, outputs.values.T, labels.reshape(rows, -1).T, strict=True)
        for column, outputs_of_all, targets_of_all in columns:
            given = ~np.isnan(targets_of_all)
            predicted, targets = outputs_of_all[given], targets_of_all[given]
            # A hundred thousandth of the targets' spread is no prediction.
            if len(targets) and np.ptp(targets) > 0 and np.ptp(predicted) <= 1e-5 * np.ptp(targets):
                mean = f"{predicted.mean():.4g}"
                all_of = f"all {len(targets):,} predictions of '{column}'"
                yield f"{all_of} are {mean}, within 1e-5 of the targets' spread."

    def training_statistics(self, labels: np.ndarray) -> dict[str, list[float]]:
        """Measure the spread of the targets, 1 for a constant one; mse_z needs it."""
        _, std = target_moments(labels.reshape(len(labels), -1))
        return {"std": [float(value) for value in np.where(std > 0, std, 1.0)]}

    def constant_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Predict the mean of each target."""
        return target_moments(labels.reshape(len(labels), -1))[0]

    def linear_outputs(self, features: Any, labels: np.ndarray, constant: np.ndarray) -> Callable[[Any], np.ndarray]:
        """Fit scikit-learn's `Ridge` to each target, on the rows that have it; clipped to a range."""
        predict, ranges = linear_values(features, labels.reshape(len(labels), -1), constant), self.ranges
        return predict if ranges is None else lambda features: np.clip(predict(features), *np.array(ranges).T)
