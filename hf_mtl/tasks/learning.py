"""Questions to a task about its labels, and about what is learned from them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypeAlias, TypeVar

import numpy as np

from hf_mtl.errors import Mistake
from hf_mtl.tasks.layout import LaidOut, OutputsPer

if TYPE_CHECKING:  # heavy, and needed for annotations alone
    import pyarrow as pa
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from hf_mtl.tasks.statistics import TaskStatistics

Labels = TypeVar("Labels", np.ndarray, "Tensor")
NO_SITE = -1e30
"""A logit of what is not there: no softmax gives it a share, and it is finite."""
Family: TypeAlias = Literal["classification", "regression"]
"""What a loss is the negative log-likelihood of, up to a factor: of classes, or of real values (a Gaussian)."""


class LearningAnswers(ABC):
    """Questions to a task for building a head and training it, with the answers of a task that has nothing special.

    A task type answers with facts and with methods on plain arrays and tensors. An array of labels has a row per
    text, as `encode` made it; outputs are what a head gives, [n, C], or [n, ..., C] with the places of
    `hf_mtl.tasks.layout.OutputsPer`: as many as the rows at hand need, `absent_output` where one has fewer.
    """

    # What the outputs are.

    outputs_per: ClassVar[OutputsPer] = "row"
    """What an output is made for. Where it is no row, `lay_out` says which sequences and sites a row has."""
    absent_output: ClassVar[float] = 0.0
    """What stands in the outputs where a row has fewer sites than another: for a softmax over them, `NO_SITE`."""
    outputs_are: ClassVar[str] = ""
    """What an output is: ``classes``, ``values``, or a word of the type's own. Metrics fit by it."""
    real_valued: ClassVar[bool] = False
    """Whether outputs and labels are numbers in units of their own, and the loss shrinks with those units."""
    can_calibrate: ClassVar[bool] = False
    """Whether the logits go through one softmax, so that a temperature can divide them."""
    auto_model: ClassVar[str | None] = None
    """The class of transformers that has the same outputs, for an export; None: there is none."""
    problem_type: ClassVar[str | None] = None
    """Its ``problem_type``."""

    # What a recipe may say.

    other_names: ClassVar[tuple[str, ...]] = ()
    """What other libraries call the type; who writes one is told the right name."""
    comes_near: ClassVar[Mapping[str, str]] = {}
    """What to say to who asks for a type that there is not, by a word in its name."""
    outputs_key: ClassVar[str] = "label"
    """The key that says what the outputs are."""
    truth_keys: ClassVar[tuple[str, ...]] = ("text", "label", "metrics", "weighted_metrics")
    """Keys that say what is right for a row that is scored, and by which metrics: with other values of them scores
    are no better or worse, but scores of something else."""
    scoring_keys: ClassVar[tuple[str, ...]] = ("text", "label", "metrics", "weight", "weighted_metrics")
    """Keys that can be others when a trained model is scored, beside `length_keys`."""
    length_keys: ClassVar[tuple[str, ...]] = ("max_length", "truncation_side")
    """Keys that say what is kept of a text. They can be others too; None means what the model or tokenizer says."""
    weights_key: ClassVar[str | None] = None
    """The key that says what classes weigh in the loss, and with ``balanced`` lets the rare ones weigh more."""

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Width C of the task's head."""

    @property
    @abstractmethod
    def output_names(self) -> list[str]:
        """Name of each output, [C]."""

    @property
    def label_names(self) -> list[str] | None:
        """Names of the classes in id order; None where the task has none, or they are not known."""
        return None

    @property
    def scored_apart(self) -> list[str]:
        """Names of the outputs that have a score of their own beside the mean; empty: none has."""
        return []

    @property
    def is_weighted(self) -> bool:
        """Tell whether the recipe says what classes weigh in the loss."""
        return False

    @property
    def family(self) -> Family:
        """The family of the task's likelihood, for methods that scale losses by it."""
        return "regression" if self.real_valued else "classification"

    @property
    def not_exported(self) -> str | None:
        """Why the task cannot be exported though its type has an `auto_model`, in words; None: it can."""
        return None

    @property
    def tuned_by(self) -> str | None:
        """The key whose value asks to choose it after training (`ScoringAnswers.tuned`); None: nothing is chosen."""
        return None

    def key_mistakes(self, name: str) -> Iterator[Mistake]:
        """Find what is wrong with keys of a recipe that are looked at together.

        Args:
            name: The task's name.
        """
        yield from ()

    def unknown_outputs(self, name: str) -> Iterator[Mistake]:
        """Say what is not known of the outputs yet, without which there can be no head.

        Args:
            name: The task's name.
        """
        yield from ()

    # Labels.

    def label_types(self, values: "Mapping[str, pa.Array]", filtered: bool) -> "Mapping[str, pa.DataType]":
        """Say what a label column is read as that comes from a file without types; by split.

        Args:
            values: The texts of the column, by split; at least one is not null.
            filtered: Whether a filter reads the column too.

        Returns:
            The type by split; a split that is not there keeps its texts.
        """
        return {}

    def resolve(self, name: str, splits: "Mapping[str, Dataset]") -> Self:
        """Fill in what the data knows and the task does not, such as its class names.

        Args:
            name: The task's name.
            splits: Its data; the labels of ``train`` count.

        Raises:
            DataError: If task and data contradict each other.
        """
        return self

    @abstractmethod
    def encode(self, name: str, split: str, dataset: "Dataset") -> tuple[np.ndarray, np.ndarray]:
        """Turn the label columns of a split into numbers, and check every one of them.

        Args:
            name: The task's name.
            split: The split's name, for mistakes. In ``test`` a row may be one to predict.
            dataset: Its rows.

        Returns:
            The labels, [n, ...], and which rows have none, bool [n].

        Raises:
            DataError: If values are outside what the task allows: all kinds of bad values at once.
        """

    def text_mistakes(self, name: str, split: str, dataset: "Dataset", used: np.ndarray) -> Iterator[Mistake]:
        """Find what is wrong with the texts of rows beside what is wrong for any task.

        Args:
            name: The task's name.
            split: The split's name.
            dataset: Its rows, whose text columns are of the right types.
            used: Rows to look at, bool [n].
        """
        yield from ()

    def told_apart_by(self, dataset: "Dataset") -> "list[pa.Array] | None":
        """Give the texts by which a row is known again in another split or task, columns of strings or of lists.

        Args:
            dataset: Rows without a mistake.

        Returns:
            None: the text columns.
        """
        return None

    def lay_out(
        self,
        name: str,
        split: str,
        dataset: "Dataset",
        labels: np.ndarray | None,
        tokenizer: "PreTrainedTokenizerBase",
        max_length: int | None,
    ) -> LaidOut | None:
        """Turn rows into sequences of tokens, and say at which of them the head looks.

        Args:
            name: The task's name.
            split: ``train``, ``validation`` or ``test``.
            dataset: Its rows, checked.
            labels: Their labels, as `encode` gives them; None: the rows are only to be predicted.
            tokenizer: The tokenizer.
            max_length: Longest sequence in tokens; None: what the tokenizer says.

        Returns:
            None: a row is one sequence, its texts, and has one output.

        Raises:
            DataError: If rows cannot be turned into tokens.
        """
        return None

    def masses(self, labels: Labels) -> Labels | None:
        """Count the units that the loss of each row is a sum over, such as its labelled tokens.

        The task's loss is the sum of its row losses over the sum of their masses. A row of mass 0 has a loss of 0.

        Args:
            labels: Labels of rows, [n, ...]: an array of a split, or a tensor of a batch.

        Returns:
            The masses, numbers from 0 on [n], an array or a tensor as the labels are. None: 1 each.
        """
        return None

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Give each row the number of its group, whose share a stratified draw keeps, int [n].

        Args:
            labels: The labels, none of them missing.
        """
        return np.zeros(len(labels), dtype=np.int64)

    def class_counts(self, labels: np.ndarray) -> np.ndarray | None:
        """Count the rows of each class, int [C]; None for a task without classes.

        Args:
            labels: The labels, none of them missing.
        """
        return None

    def unknown_counts(self, labels: np.ndarray) -> np.ndarray | None:
        """Count for each output, in the order of `output_names`, the rows that do not tell of it; None: all tell.

        Args:
            labels: The labels, none of them missing.
        """
        return None

    def label_notes(self, name: str, train: "Dataset", given: Self | None) -> list[str]:
        """Say what the user should know of how the labels were read.

        Args:
            name: The task's name.
            train: Its training rows, free of mistakes.
            given: The task before it was resolved; None if it came so.
        """
        return []

    def train_notes(self, labels: np.ndarray) -> list[str]:
        """Say what the training rows cannot teach.

        Args:
            labels: Their labels, none of them missing.
        """
        return []

    # Learning.

    def new_statistics(self) -> "TaskStatistics":
        """Make what the loss keeps of the training rows, not fitted yet."""
        from hf_mtl.tasks.statistics import TaskStatistics

        return TaskStatistics()

    def fit_statistics(self, name: str, statistics: "TaskStatistics", labels: np.ndarray, keep: bool) -> list[str]:
        """Fit the statistics to training rows, or compare them with those that are there.

        Args:
            name: The task's name.
            statistics: What `new_statistics` has made.
            labels: The labels of the training rows.
            keep: Whether the statistics stay as they are.

        Returns:
            What the user should know, a sentence each.

        Raises:
            DataError: If nothing can be fitted to these rows.
        """
        return []

    @abstractmethod
    def row_losses(self, outputs: "Tensor", labels: "Tensor", weights: "Tensor | None" = None) -> "Tensor":
        """Compute the loss of every row.

        Args:
            outputs: What the head gives, [n, C] or [n, ..., C].
            labels: Labels in the units of the outputs; those of tokens or windows are as wide as the outputs.
            weights: `TaskStatistics.loss_weights`.

        Returns:
            Losses [n], float32.
        """
