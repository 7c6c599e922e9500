"""Questions to a task about its scores."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypedDict

import numpy as np

from hf_mtl.errors import Mistake
from hf_mtl.tasks.fields import MetricSpec

if TYPE_CHECKING:  # heavy, and needed for annotations alone
    from datasets import Dataset
    from torch import Tensor


class Outputs(Protocol):
    """The part of a head's outputs for n rows that is kept to score them."""

    @property
    def broken(self) -> int:
        """Rows with an output that is not finite."""

    def __len__(self) -> int: ...


class Metric(Protocol):
    """A metric that can be computed."""

    key: str
    wants_probabilities: bool

    def compute(self, **inputs: Any) -> dict[str, float]:
        """Compute values by name, the first named ``key``.

        Args:
            inputs: ``references``, and ``predictions`` or (if probabilities are wanted) ``prediction_scores``.
        """


class FoundAnswer(TypedDict):
    """An answer that a model has found, in the words of transformers' pipelines.

    Args:
        answer: Its text; empty: the context holds no answer.
        score: Its probability.
        start: Its first character in the context.
        end: The character behind it.
    """

    answer: str
    score: float
    start: int
    end: int


class Compact(NamedTuple):
    """Functions that make the outputs of a head small where they are computed: they drop what no score reads.

    Args:
        of: From outputs [B, C] (or [B, ..., C], as wide as the split) what is kept of them, [B, K].
        width: K.
        read: From what was kept [n, K] what is scored.
    """

    of: "Callable[[Tensor], Tensor]"
    width: int
    read: Callable[[np.ndarray], Outputs]


class Candidates(NamedTuple):
    """What a language model chooses from.

    Args:
        texts: The text of each row.
        labels: The labels that each row may have; those of some rows may be more than those of others.
        outputs: From a number for each label of each row, whose softmax are probabilities, the outputs of a head that
            is as sure of them, [m, ..., C].
    """

    texts: list[str]
    labels: list[list[str]]
    outputs: Callable[[Sequence[np.ndarray]], np.ndarray]


class ScoringAnswers(ABC):
    """Questions to a task for scoring it, with the answers of a task that has nothing special.

    Labels are those of the scored rows, as `encode` made them (or what `lay_out` gives as references), none of them
    missing.
    """

    def compact(self, places: tuple[int, ...] = ()) -> Compact | None:
        """Say how outputs are made small before they are scored; None: all of them are wanted.

        Args:
            places: The shape of a row's outputs without the last axis; empty where a row has one output.
        """
        return None

    @abstractmethod
    def outputs_of(self, raw: np.ndarray) -> Outputs:
        """Make what is scored of a head's outputs.

        Args:
            raw: The outputs, [n, C] or [n, ..., C].
        """

    def gathered(self, batches: Iterable[np.ndarray]) -> Outputs:
        """Make what is scored of the outputs of one batch after another, keeping no more than that.

        Args:
            batches: Outputs of some rows each.
        """
        return self.outputs_of(np.concatenate(list(batches)))

    def as_predicted(self, raw: np.ndarray) -> np.ndarray:
        """Give the outputs in the shape in which who trains such a task with transformers expects them.

        Args:
            raw: The outputs, [n, C] or [n, ..., C].
        """
        return raw

    @abstractmethod
    def predictions(self, raw: np.ndarray) -> np.ndarray:
        """Say what is predicted, in the form of labels.

        Args:
            raw: The outputs, [n, C].
        """

    def answers(self, raw: np.ndarray, references: np.ndarray, n_best: int = 1) -> list[list[FoundAnswer]]:
        """Give the best answers to questions, of a task that answers some.

        Args:
            raw: The outputs, as `MultiTaskTrainer.predict` gives them, [n, ..., C].
            references: What `lay_out` gives as references, as its ``label_ids`` hold them.
            n_best: The most answers of a row.

        Returns:
            For each row its answers, the best first.
        """
        raise NotImplementedError(f"{type(self).__name__} answers no questions")

    def in_softmax(self, raw: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the logits of each softmax [m, C], and the class that is right [m], for a task that can be calibrated.

        Args:
            raw: The outputs, [n, C] or [n, ..., C].
            labels: The labels.
        """
        return raw, labels

    def tuned(self, raw: np.ndarray, labels: np.ndarray) -> tuple[Any, list[str]]:
        """Choose how outputs become predictions, where `tuned_by` names the key that asks for it.

        Args:
            raw: The outputs for rows that were not trained on, all finite, [n, C].
            labels: Their labels.

        Returns:
            The value of the key, as a recipe may give it too, and what the user should know.
        """
        raise NotImplementedError(f"{type(self).__name__} has nothing that is tuned")

    def exported(self) -> dict[str, Any]:
        """Give what the config of an exported model says of the task beside its outputs, by field."""
        return {}

    def metric_mistakes(self, key: str, spec: MetricSpec) -> Iterator[Mistake]:
        """Find what is wrong with a metric of ours for this task, beside that it does not fit.

        Args:
            key: Recipe key of the task's metrics.
            spec: The metric.
        """
        yield from ()

    def metric_options(self, spec: MetricSpec, statistics: Mapping[str, Sequence[float]], key: str) -> dict[str, Any]:
        """Give the arguments with which a metric of ours is built for this task.

        Args:
            spec: The metric.
            statistics: What metrics may read of the training rows.
            key: Recipe key that a mistake belongs to.

        Raises:
            DataError: If the metric cannot be built.
        """
        return {}

    @abstractmethod
    def measure(self, metric: Metric, outputs: Outputs, labels: np.ndarray) -> dict[str, float]:
        """Compute a metric.

        Args:
            metric: The metric.
            outputs: What is scored, all of it finite.
            labels: The labels.
        """

    @abstractmethod
    def perfect_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Give the outputs of a model that is always right, float32 [n, C].

        Args:
            labels: The labels.
        """

    def undefined(self, spec: MetricSpec, labels: np.ndarray) -> Iterator[tuple[str, str, str]]:
        """Find out whether a metric says nothing on some rows, whatever a model predicts.

        Args:
            spec: The metric.
            labels: The labels of the rows.

        Yields:
            Its value there, the reason, and what to do.
        """
        yield from ()

    def absent(self, labels: np.ndarray) -> list[str]:
        """Name the classes that no row has, and that count 0 in a metric of the task.

        Args:
            labels: The labels of the rows.
        """
        return []

    def sameness(self, outputs: Outputs, labels: np.ndarray) -> Iterator[str]:
        """Find predictions that are the same for all rows, where the labels are not.

        Args:
            outputs: What was scored.
            labels: The labels.
        """
        yield from ()

    def training_statistics(self, labels: np.ndarray) -> dict[str, list[float]]:
        """Compute what metrics may read of the training rows, for a baseline, which has no `TaskStatistics`.

        Args:
            labels: The labels of the training rows.
        """
        return {}

    def references(self, dataset: "Dataset", labels: np.ndarray) -> np.ndarray:
        """Give what the scores of baselines compare with, which see no tokens: the labels, or what more they read.

        Args:
            dataset: The rows.
            labels: Their labels, none of them missing.
        """
        return labels

    def own_baselines(
        self, train_texts: Sequence[Any], labels: np.ndarray, texts: Sequence[Any]
    ) -> dict[str, np.ndarray] | None:
        """Predict with baselines of the type's own; None: with `constant_outputs` and `linear_outputs` on TF-IDF.

        Args:
            train_texts: The texts of each training row: one, or one for each text column, lists in list columns.
            labels: The labels of the training rows.
            texts: The texts of m rows to predict.

        Returns:
            Outputs of ``majority``, which has seen no texts, and of ``tfidf``, a linear model; [m, ..., C].
        """
        return None

    def candidates(self, texts: Sequence[Any]) -> Candidates | None:
        """Give what a language model is asked, which has seen no training: texts, and the labels to choose from.

        Args:
            texts: The texts of m rows, as `own_baselines` gets them.

        Returns:
            None: the labels of the type are no words among which one is right.
        """
        return None

    def constant_outputs(self, labels: np.ndarray) -> np.ndarray:
        """Give the outputs of the model that has seen only the training labels, [C], where `own_baselines` does not.

        Args:
            labels: The labels of the training rows.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither own_baselines nor constant_outputs")

    def linear_outputs(self, features: Any, labels: np.ndarray, constant: np.ndarray) -> Callable[[Any], np.ndarray]:
        """Fit a linear model, where `own_baselines` does not.

        Args:
            features: Sparse features of the training rows, [n, F].
            labels: Their labels.
            constant: What `constant_outputs` gives.

        Returns:
            From features of m rows their outputs [m, C].
        """
        raise NotImplementedError(f"{type(self).__name__} has neither own_baselines nor linear_outputs")
