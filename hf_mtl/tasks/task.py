"""The base class of tasks: the keys that every task has, and the questions that it answers.

A task is a frozen pydantic model, written the same way in a recipe (YAML) and in Python:

    SequenceClassification(text="text", label="label", labels=["anger", "joy"], metrics=["f1_macro"])
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator

from hf_mtl.tasks.fields import DatasetSource, Frozen, MetricSpec
from hf_mtl.tasks.learning import LearningAnswers
from hf_mtl.tasks.predicting import PredictingAnswers
from hf_mtl.tasks.scoring import ScoringAnswers


class Task(Frozen, LearningAnswers, ScoringAnswers, PredictingAnswers):
    """Base of every task type. Use a subclass.

    Raises:
        pydantic.ValidationError: If a field is unknown, missing or out of range.
    """

    row_keys: ClassVar[tuple[str, ...]] = (
        "dataset",
        "max_rows",
        "stratify",
        "train_fraction",
        "validation_fraction",
        "test_fraction",
    )
    """Keys that only say which rows are read; a model knows nothing of them."""

    type: str
    dataset: DatasetSource | Annotated[list[DatasetSource], Field(min_length=1)] | None = Field(
        None, description="Where the rows come from; a list is concatenated. None: given in Python."
    )
    text: str | list[str] = Field("text", description="Text column, or two columns for a pair.")
    label: str | list[str] = Field("label", description="Label column.")
    metrics: list[MetricSpec] = Field(default_factory=list, description="The first one is the primary metric.")
    weight: str | None = Field(
        None,
        description="Column of weights, by which the losses of training rows are multiplied; scaled to a mean of 1 "
        "over them. Rows of weight 0 are left out.",
    )
    weighted_metrics: bool = Field(
        False, description="Whether scored rows have weights too: they weigh in the metrics and in the loss there."
    )
    max_rows: int | None = Field(None, ge=1, description="Use at most this many training rows (seeded draw).")
    stratify: bool = Field(
        False,
        description="Carve validation and test, and draw max_rows and train_fraction, by class, or by fifths of the "
        "targets: shares stay, and rare classes keep a row. Where a row is carved then depends on the others.",
    )
    train_fraction: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the training rows, of those that max_rows leaves, to train on. The rows of a smaller "
        "share are among those of a larger one.",
    )
    validation_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of train that becomes validation where the dataset has none, by a hash of each text. "
        "0: no validation.",
    )
    test_fraction: float | None = Field(
        None, gt=0, lt=1, description="Share of train that becomes test where the dataset has none. None: no test."
    )
    stream: bool = Field(
        True,
        description="Draw and encode rows once for all tasks that read the same texts. false: draw this task's rows "
        "for themselves.",
    )
    max_length: int | None = Field(
        None, ge=1, description="Longest text of this task in tokens, in place of model.max_length."
    )
    truncation_side: Literal["left", "right"] | None = Field(
        None, description="End at which longer texts are cut. Default: the tokenizer's, mostly right."
    )
    head: str | dict[str, Any] | None = Field(
        None,
        description="This task's head, in place of model.head. {share: name}: one head for all tasks that name it.",
    )
    head_learning_rate: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Learning rate of this task's head, in place of training.head_learning_rate.",
    )

    @field_validator("metrics", mode="before")
    @classmethod
    def _metric_names(cls, value: object) -> object:
        value = [value] if isinstance(value, (str, dict)) else value
        if not isinstance(value, list):
            return value
        return [{"name": item} if isinstance(item, str) else item for item in value]

    @field_validator("text")
    @classmethod
    def _one_or_two_texts(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, list) and len(value) not in (1, 2):
            raise ValueError(f"one text column or two for a pair, found {len(value)}")
        return value

    @field_validator("weighted_metrics")
    @classmethod
    def _has_weights(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("weight") is None:
            raise ValueError("there is no weight: name the column that holds the weights")
        return value

    @field_validator("test_fraction")
    @classmethod
    def _leaves_training_rows(cls, value: float | None, info: ValidationInfo) -> float | None:
        validation = info.data.get("validation_fraction", 0)
        if value is not None and value + validation >= 1:
            raise ValueError(f"{value:g}, and validation_fraction is {validation:g}: together less than 1")
        return value

    @property
    def text_columns(self) -> list[str]:
        """The text columns, one or two."""
        return [self.text] if isinstance(self.text, str) else list(self.text)

    @property
    def text_lists(self) -> list[str]:
        """Those of the text columns that hold lists of texts, such as words or choices."""
        return []

    @property
    def texts_or_lists(self) -> bool:
        """Tell whether these may hold plain texts too, in place of lists."""
        return False

    @property
    def self_checked(self) -> list[str]:
        """Those of the text columns whose rows `text_mistakes` checks, such as choices that a row may lack."""
        return []

    def text_key(self, column: str) -> str:
        """Name the key that names a text column.

        Args:
            column: One of `text_columns`.
        """
        return "text"

    @property
    def label_columns(self) -> list[str]:
        """The label columns: one, or one per target."""
        return [self.label] if isinstance(self.label, str) else list(self.label)

    @property
    def is_scored_only(self) -> bool:
        """Tell whether each source of its rows leaves out those to train on: ``splits: {train: null}``."""
        sources = self.dataset if isinstance(self.dataset, list) else [self.dataset]
        return all(source is not None and source.splits.get("train", "train") is None for source in sources)

    def decided(self, value: Any) -> Self:
        """Return the task with what was chosen after training in place of the wish to choose it.

        Args:
            value: As `tuned` gives it.

        Raises:
            ValueError: If the task does not ask for it, or the value is none of its key.
        """
        if self.tuned_by is None:
            raise ValueError(f"a task of type {self.type} that does not ask for it has nothing tuned")
        return type(self).model_validate({**self.model_dump(), self.tuned_by: value})

    def for_config(self) -> dict[str, Any]:
        """Write the task as JSON for a model's config: without where the rows came from."""
        left_out = {*self.row_keys, *(["stream"] if self.stream else [])}
        return self.model_dump(mode="json", exclude=left_out, exclude_none=True)
