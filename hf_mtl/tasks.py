"""What a task is: its type, its columns, its labels, its metrics.

A task is a frozen pydantic model, written the same way in a recipe (YAML) and in Python:

    SequenceClassification(text="text", label="label", labels=["anger", "joy"], metrics=["f1_macro"])

Adding a task type: subclass `Task` here with its own ``type``, and register its behaviour where the rooms
dispatch on the class (`data/labels.py`, `modeling/losses.py`, `evaluation/scores.py`).
"""

import codecs
from abc import ABC, abstractmethod
from collections.abc import Mapping
from difflib import get_close_matches
from encodings.aliases import aliases
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationInfo, WithJsonSchema, field_validator

from hf_mtl.shown import hide_secrets

if TYPE_CHECKING:  # heavy, and needed for annotations alone
    from torch import Tensor

Labels = TypeVar("Labels", np.ndarray, "Tensor")

_MOST_CLASSES = 100_000  # that are only counted: each gets a name and a row of the head, before any data is looked at
# For editors; whoever uses the weights refuses others in words of its own.
_Weight: TypeAlias = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0})]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    def __repr__(self) -> str:
        return hide_secrets(super().__repr__())

    def __str__(self) -> str:
        return hide_secrets(super().__str__())


class RowFilter(_Frozen):
    """Keep only the rows whose column passes; exactly one of the conditions is given."""

    column: str = Field(description="Column that the condition looks at.")
    equals: str | int | float | bool | None = Field(None, description="Keep rows with this value.")
    one_of: list[str | int | float | bool] | None = Field(None, description="Keep rows with one of these values.")
    length: int | None = Field(None, ge=0, description="Keep rows whose list column has this many elements.")
    not_blank: Literal[True] | None = Field(None, description="Keep rows whose text is not empty.")


class DatasetSource(_Frozen):
    """Where rows come from: a Hub id, a local folder or file, or a format with `data_files`."""

    path: str = Field(
        description="Hub id, local folder (also one written by save_to_disk), or a format with data_files: csv, "
        "json, parquet, arrow, text."
    )
    name: str | None = Field(None, description="Configuration of the dataset, as in load_dataset.")
    data_files: (
        str
        | Annotated[list[str], Field(min_length=1)]
        | Annotated[dict[str, str | list[str]], Field(min_length=1)]
        | None
    ) = Field(None, description="Files, or files per split; relative to the recipe that names them.")
    revision: str | None = Field(None, description="Git revision on the Hub.")
    splits: dict[Literal["train", "validation", "test"], str | None] = Field(
        default_factory=dict,
        description="Names that this dataset gives to the splits, where they differ; null leaves a split out.",
    )
    filter: RowFilter | list[RowFilter] | None = Field(None, description="Rows to keep.")
    sep: str | None = Field(
        None, description="Of csv files: the character between fields. Default: a tab in .tsv files, else a comma."
    )
    quoting: Literal["minimal", "none"] = Field(
        "minimal", description="Of csv files: whether double quotes may enclose a field, or are text (none)."
    )
    encoding: str = Field("utf-8", description="Of csv files.")
    header: bool | list[str] = Field(
        True,
        description="Of csv files: whether the first line names the columns (false: they are called 0, 1, ...); "
        "or the names, where no line does.",
    )

    @field_validator("sep")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        value = "\t" if value in ("\\t", "tab") else value  # as YAML reads '\t', and a word for it
        if value is not None and (len(value) != 1 or value in '"\r\n'):
            raise ValueError("one character, such as ';' or '|', or tab")
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError:
            near = get_close_matches(value.lower(), sorted({*aliases.values(), *aliases}), n=1, cutoff=0.6)
            hint = f"; did you mean '{near[0]}'" if near else ""
            raise ValueError(f"an encoding that Python knows, such as utf-8, cp1252 or latin-1{hint}") from None
        return value

    @field_validator("header")
    @classmethod
    def _named_once(cls, value: bool | list[str]) -> bool | list[str]:
        if isinstance(value, list) and (not value or len(set(value)) < len(value)):
            raise ValueError("true, false, or a list of different column names")
        return value


class MetricSpec(_Frozen):
    """A metric with options; a plain name in a recipe means the same without options."""

    name: str = Field(
        description="A metric of hf_mtl, an id of `evaluate`; or, with --allow-code, a script (its path is relative "
        "to the recipe) or a Hub user's metric."
    )
    labels: list[str | int] | None = Field(None, description="Classes that the metric averages over (f1 only).")
    greater_is_better: bool | None = Field(None, description="Needed for `evaluate` ids; known for the others.")

    @property
    def is_script(self) -> bool:
        """Whether the name is a path on this machine, and no id."""
        shaped = self.name.endswith(".py") or self.name.startswith(("/", ".", "~")) or "\\" in self.name
        slashes = self.name.count("/")
        return shaped or slashes > 1 or (slashes == 1 and Path(self.name).exists())

    @property
    def is_bare_script(self) -> bool:
        """Whether the name is that of a script without its place, as a model's config keeps it."""
        return self.name.endswith(".py") and PurePath(self.name).name == self.name


def without_paths(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task as JSON whose metrics keep of a script's path its name alone: the path means nothing to others.

    Args:
        task: As `Task.for_config` gives it.
    """
    metrics = [dict(item) for item in task.get("metrics", ()) if isinstance(item, Mapping)]
    for item in metrics:
        if isinstance(item.get("name"), str) and MetricSpec(name=item["name"]).is_script:
            item["name"] = f"{PurePath(item['name']).stem}.py"
    return {**task, "metrics": metrics} if len(metrics) == len(task.get("metrics", ())) > 0 else dict(task)


TaskKind: TypeAlias = Literal["classification", "regression"]


class Task(_Frozen, ABC):
    """What every task has. Use a subclass.

    Raises:
        pydantic.ValidationError: If a field is unknown, missing or out of range.
    """

    kind: ClassVar[TaskKind] = "classification"

    type: str
    dataset: DatasetSource | Annotated[list[DatasetSource], Field(min_length=1)] | None = Field(
        None, description="Where the rows come from; a list is concatenated. None: given in Python."
    )
    text: str | list[str] = Field("text", description="Text column, or two columns for a pair.")
    label: str | list[str] = Field("label", description="Label column.")
    metrics: list[MetricSpec] = Field(default_factory=list, description="The first one is the primary metric.")
    max_rows: int | None = Field(None, ge=1, description="Use at most this many training rows (seeded draw).")
    stratify: bool = Field(
        False,
        description="Draw max_rows by class, or by fifths of the targets: shares stay, and rare classes keep a row.",
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
    head: str | dict[str, Any] | None = Field(None, description="This task's head, in place of model.head.")

    @field_validator("metrics", mode="before")
    @classmethod
    def _metric_names(cls, value: Any) -> Any:
        value = [value] if isinstance(value, (str, dict)) else value
        return (
            [{"name": item} if isinstance(item, str) else item for item in value]
            if isinstance(value, list)
            else value
        )

    @field_validator("text")
    @classmethod
    def _one_or_two_texts(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, list) and len(value) not in (1, 2):
            raise ValueError(f"one text column or two for a pair, found {len(value)}")
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
    def label_columns(self) -> list[str]:
        """The label columns: one, or one per target."""
        return [self.label] if isinstance(self.label, str) else list(self.label)

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Width of the task's head: classes C or targets D."""

    def masses(self, labels: Labels) -> Labels | None:
        """Count the units that the loss of each row is a sum over, such as its labelled tokens.

        The task's loss is the sum of its row losses over the sum of their masses. A row of mass 0 has a loss of 0.

        Args:
            labels: Labels of rows, [n, ...]: an array of a split, or a tensor of a batch.

        Returns:
            The masses, numbers from 0 on [n], an array or a tensor as the labels are. None: 1 each.
        """
        return None

    def for_config(self) -> dict[str, Any]:
        """The task as JSON for a model's config: without where the rows came from."""
        rows = {"dataset", "max_rows", "stratify", "validation_fraction", "test_fraction"}
        return self.model_dump(mode="json", exclude=rows, exclude_none=True)


class SequenceClassification(Task):
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

    type: Literal["sequence_classification"] = "sequence_classification"
    label: str = Field("label", description="Label column: integers, strings, or lists of one.")
    labels: list[str] | Annotated[int, Field(ge=2, le=_MOST_CLASSES)] | None = None
    metrics: list[MetricSpec] = Field(default_factory=lambda: [MetricSpec(name="f1_macro")])
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    class_weights: Literal["balanced"] | list[_Weight] | dict[str, _Weight] | None = None
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @field_validator("label", mode="before")
    @classmethod
    def _one_column(cls, value: Any) -> Any:
        if isinstance(value, list):
            raise ValueError("one column; every label column is a task of its own, with the same dataset")
        return value

    @field_validator("labels")
    @classmethod
    def _two_or_more_names(cls, value: list[str] | int | None) -> list[str] | int | None:
        if not isinstance(value, list):
            return value
        if len(value) < 2 or len(set(value)) < len(value) or not all(name.strip() for name in value):
            raise ValueError("two or more different names, none of them blank")
        return value

    @property
    def label_names(self) -> list[str] | None:
        """Class names in id order, or None while they are not known."""
        if isinstance(self.labels, int):
            return [f"LABEL_{index}" for index in range(self.labels)]
        return self.labels

    @property
    def num_outputs(self) -> int:
        """Number of classes C.

        Raises:
            ValueError: While the classes are not known.
        """
        if self.labels is None:
            raise ValueError(
                "the classes are not known: give labels, their names in order of their ids, or their number"
            )
        return self.labels if isinstance(self.labels, int) else len(self.labels)


class Regression(Task):
    """One or several real targets per text or pair of texts.

    Args:
        loss: Per-row loss on standardised targets, averaged over targets: ``mse``, ``mae`` or ``huber`` (delta 1).
        standardize: Subtract the training mean and divide by the training standard deviation of each target.
            The statistics live in the checkpoint; predictions and metrics are in original units.
    """

    kind: ClassVar[TaskKind] = "regression"

    type: Literal["regression"] = "regression"
    label: str | Annotated[list[str], Field(min_length=1)] = Field(
        "label", description="Target column, or one column per target."
    )
    metrics: list[MetricSpec] = Field(default_factory=lambda: [MetricSpec(name="pearson")])
    loss: Literal["mse", "mae", "huber"] = "mse"
    standardize: bool = True

    @property
    def num_outputs(self) -> int:
        """Number of targets D."""
        return len(self.label_columns)


AnyTask = Annotated[SequenceClassification | Regression, Field(discriminator="type")]
TASK_TYPES: dict[str, type[Task]] = {
    "sequence_classification": SequenceClassification,
    "regression": Regression,
}


def task_from_dict(value: dict[str, Any]) -> Task:
    """Read a task back from JSON, such as a model's config.

    Raises:
        pydantic.ValidationError: If the dictionary is not a task.
    """
    task: Task = TypeAdapter(AnyTask).validate_python(value)
    return task
