"""One class per text or pair of texts, of several that have an order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from hf_mtl.data.class_labels import found_notes
from hf_mtl.data.one_class import OneClass
from hf_mtl.data.ordered_classes import gaps, resolve_ordered
from hf_mtl.errors import Mistake
from hf_mtl.evaluation.binary import UNKNOWN, linear_binaries, share_logits
from hf_mtl.evaluation.candidates import class_candidates, step_logits
from hf_mtl.evaluation.checks import f1_mistakes
from hf_mtl.evaluation.classes import absent_classes, class_ids, undefined_of_classes
from hf_mtl.evaluation.named import best_classes, class_columns, ranked_classes
from hf_mtl.evaluation.outputs import PlainOutputs
from hf_mtl.tasks import MetricSpec, register
from hf_mtl.tasks.predicting import Prediction, RowOutputs
from hf_mtl.tasks.scoring import Candidates, Metric, Outputs


@register
class OrdinalClassification(OneClass):
    """One class per text or pair of texts, of several that have an order, such as a rating.

    Of K classes it learns K-1 steps from one class to the next: output k is the logit of P(y > k) among the rows with
    y > k-1 (continuation ratio). So P(y > k), the product of these, falls with k whatever the outputs are. The loss
    of a row is -log P(y). Predicted is the highest class that the row more likely reaches than not.

    Source: Shi, Cao and Raschka, "Deep Neural Networks for Rank-Consistent Ordinal Regression Based On Conditional
    Probabilities" (CORN), arXiv:2111.08851. Departs from it: losses are divided by rows, and not by pairs of row and
    step.

    Args:
        labels: Class names from the lowest to the highest, or their number, where ids are the ranks. None: from
            numbers in the data, or a ClassLabel whose names are numbers in their order; words have no order.
        predict: ``median``, or ``mean``: the class nearest to the expected rank, which is the sum of P(y > k).
    """

    outputs_are: ClassVar[str] = "ranks"
    other_names: ClassVar[tuple[str, ...]] = ("ordinal", "ordinal_regression", "rating", "coral", "corn")
    scoring_keys: ClassVar[tuple[str, ...]] = (*OneClass.scoring_keys, "predict")

    type: Literal["ordinal_classification"] = "ordinal_classification"
    metrics: list[MetricSpec] = Field(default_factory=lambda: [MetricSpec(name="quadratic_weighted_kappa")])
    predict: Literal["median", "mean"] = "median"

    @property
    def num_outputs(self) -> int:
        """Number of steps K-1 between K classes.

        Raises:
            ValueError: While the classes are not known.
        """
        return self.num_classes - 1

    @property
    def output_names(self) -> list[str]:
        """The steps, by the class that each leaves: ``> low``."""
        return [f"> {name}" for name in (self.label_names or [])[:-1]]

    def resolve(self, name: str, splits: Mapping[str, Dataset]) -> Self:
        """Name the classes in their order."""
        return self.model_copy(update={"labels": resolve_ordered(self.labels, self.label, name, splits)})

    def label_notes(self, name: str, train: Dataset, given: Self | None) -> list[str]:
        """Say what is odd about classes that were found, and which whole numbers they leave out."""
        names = self.label_names or []
        if given is None or given.labels is not None:
            return super().label_notes(name, train, given)
        left_out = gaps(names)
        if not left_out:
            return found_notes(names, self.label, name)
        shown = ", ".join(map(str, left_out[:10])) + (" and more" if len(left_out) > 10 else "")
        return [f"{name}: the ranks of '{self.label}' leave out {shown}; if these are ranks too, give labels."]

    def row_losses(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute -log P(y): the cross-entropies of the steps that the row has come to, summed."""
        reached = labels.reshape(-1, 1).long()
        steps = torch.arange(outputs.shape[-1], device=outputs.device)
        losses = F.binary_cross_entropy_with_logits(outputs.float(), (reached > steps).float(), reduction="none")
        # Chosen and not multiplied by 0: of an infinite output that would be no number.
        return torch.where(steps <= reached, losses, 0.0).sum(dim=-1)

    def exceeding(self, raw: np.ndarray) -> NDArray[np.float64]:
        """Return P(y > k) of each step k, [n, K-1].

        Args:
            raw: The outputs, [n, K-1].
        """
        # log sigmoid(z) is -log(1 + exp(-z)). Sums of logarithms, so that small products keep their digits.
        return np.asarray(np.exp(np.cumsum(-np.logaddexp(0.0, -raw.astype(np.float64)), axis=1)))

    def class_probabilities(self, raw: np.ndarray) -> NDArray[np.float64]:
        """Return the probability of each class, [n, K].

        Args:
            raw: The outputs, [n, K-1].
        """
        exceeding = self.exceeding(raw)
        whole, nothing = np.ones((len(raw), 1)), np.zeros((len(raw), 1))
        return np.hstack([whole, exceeding]) - np.hstack([exceeding, nothing])

    def expected_ranks(self, raw: np.ndarray) -> NDArray[np.float64]:
        """Return the expected rank of each row, in [0, K-1], [n].

        Args:
            raw: The outputs, [n, K-1].
        """
        return np.asarray(self.exceeding(raw).sum(axis=1))

    def outputs_of(self, raw: np.ndarray) -> Outputs:
        """Score the outputs as they are."""
        return PlainOutputs(raw)

    def predictions(self, raw: np.ndarray) -> np.ndarray:
        """Predict a class of each row, int64 [n]."""
        if self.predict == "mean":
            return np.floor(self.expected_ranks(raw) + 0.5).astype(np.int64)
        return np.asarray((self.exceeding(raw) > 0.5).sum(axis=1), dtype=np.int64)

    def predicted(self, found: RowOutputs) -> list[Prediction]:
        """Name the predicted class, with its probability, which need not be the largest."""
        shares = self.class_probabilities(found.outputs)
        return best_classes(self.label_names or [], shares, self.predictions(found.outputs))

    def ranked(self, found: RowOutputs, most: int | None) -> list[list[dict[str, Any]]]:
        """Name the likeliest classes."""
        return ranked_classes(self.label_names or [], self.class_probabilities(found.outputs), most)

    def columns(self, found: RowOutputs, everything: bool) -> dict[str, pa.Array]:
        """Give ``label`` and ``score``, and ``p.`` with each class's name."""
        chosen, shares = self.predictions(found.outputs), self.class_probabilities(found.outputs)
        return class_columns(self.label_names or [], shares, chosen, everything)

    def metric_mistakes(self, key: str, spec: MetricSpec) -> Iterator[Mistake]:
        """Compare the classes of an f1 with the task's."""
        if spec.name == "f1" and self.label_names is not None:
            yield from f1_mistakes(key, spec, self.label_names)

    def metric_options(self, spec: MetricSpec, statistics: Mapping[str, Sequence[float]], key: str) -> dict[str, Any]:
        """Tell the number of classes, and an f1 which of them are meant; an error of ranks needs neither."""
        if spec.name == "mae":
            return {}
        options: dict[str, Any] = {"num_classes": self.num_classes}
        if spec.name == "f1":
            options["labels"] = class_ids(spec, self.label_names or [], key)
        return options

    def measure(self, metric: Metric, outputs: Outputs, labels: np.ndarray) -> dict[str, float]:
        """Give the metric predicted classes, or the probabilities of all where it wants them."""
        assert isinstance(outputs, PlainOutputs)  # what `outputs_of` has made
        if metric.wants_probabilities:
            probabilities = self.class_probabilities(outputs.values)
            return metric.compute(prediction_scores=probabilities, references=labels.reshape(-1))
        return metric.compute(predictions=self.predictions(outputs.values), references=labels.reshape(-1))

    def perfect_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Give the steps that were taken a logit of 10, and the others -10."""
        return np.where(self._steps(labels) == 1, 10, -10).astype(np.float32)

    def undefined(self, spec: MetricSpec, labels: np.ndarray) -> Iterator[tuple[str, str, str]]:
        """Find metrics that need rows of two classes, or of those that they are about."""
        names = self.label_names or []
        yield from undefined_of_classes(spec, names, labels)
        if spec.name == "quadratic_weighted_kappa" and len(present := np.unique(labels)) == 1:
            remedy = "Give rows of two classes or more to evaluate on, or use another metric, such as accuracy."
            yield "0 whatever is predicted, or undefined", f"all are of class '{names[int(present[0])]}'", remedy

    def absent(self, labels: np.ndarray) -> list[str]:
        """Name classes without rows, each of which counts 0 in f1_macro and recall_macro."""
        return absent_classes(self.metrics, self.label_names or [], labels)

    def sameness(self, outputs: Outputs, labels: np.ndarray) -> Iterator[str]:
        """Find one class that is predicted for all rows."""
        assert isinstance(outputs, PlainOutputs)
        predicted = np.unique(self.predictions(outputs.values))
        if len(predicted) == 1 and len(np.unique(labels)) > 1:
            yield f"all {len(outputs):,} rows are predicted '{(self.label_names or [])[int(predicted[0])]}'."

    def candidates(self, texts: Sequence[Any]) -> Candidates:
        """Let each row have any class; their scores become logits of the steps."""
        return class_candidates(texts, self.label_names or [], step_logits)

    def constant_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Predict the shares of the classes, and so their median."""
        return share_logits(self._steps(labels))

    def linear_outputs(self, features: Any, labels: np.ndarray, constant: np.ndarray) -> Callable[[Any], np.ndarray]:
        """Fit a logistic regression to each step, on the rows that have come to it."""
        return linear_binaries(features, self._steps(labels))

    def _steps(self, labels: np.ndarray) -> np.ndarray:
        """Tell which steps each row has taken (1), which not (0), and to which it has not come, [n, K-1]."""
        reached, steps = labels.reshape(-1, 1), np.arange(self.num_outputs)
        return np.where(steps > reached, UNKNOWN, reached > steps)
