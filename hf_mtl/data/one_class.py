"""The part of a task that reads one class per row, for the types of task whose rows have one."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Self, TypeAlias

import numpy as np
import pyarrow as pa
from datasets import Dataset
from pydantic import Field, field_validator

from hf_mtl.data.class_labels import encode_classes, found_notes, order_notes, resolve_classes
from hf_mtl.data.class_names import numbered_names
from hf_mtl.data.spelling import class_types
from hf_mtl.data.train_notes import absent_notes
from hf_mtl.errors import Mistake
from hf_mtl.tasks import Task

_MOST_CLASSES = 100_000  # that are only counted: each gets a name and a row of the head, before any data is looked at

Labels: TypeAlias = list[str] | Annotated[int, Field(ge=2, le=_MOST_CLASSES)] | None
"""Classes as a recipe gives them: their names in id order, their number, or nothing."""


class OneClass(Task):
    """Base of the types of task whose rows have one class each, a column of it."""

    outputs_key: ClassVar[str] = "labels"
    truth_keys: ClassVar[tuple[str, ...]] = (*Task.truth_keys, "labels")
    scoring_keys: ClassVar[tuple[str, ...]] = (*Task.scoring_keys, "labels")

    label: str = Field("label", description="Label column: integers, strings, or lists of one.")
    labels: Labels = None

    @field_validator("label", mode="before")
    @classmethod
    def _one_column(cls, value: object) -> object:
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
        return numbered_names(self.labels) if isinstance(self.labels, int) else self.labels

    @property
    def num_classes(self) -> int:
        """Number of classes K.

        Raises:
            ValueError: While the classes are not known.
        """
        if self.labels is None:
            raise ValueError(
                "the classes are not known: give labels, their names in order of their ids, or their number"
            )
        return self.labels if isinstance(self.labels, int) else len(self.labels)

    def unknown_outputs(self, name: str) -> Iterator[Mistake]:
        """Refuse classes that nobody has named or counted."""
        if self.labels is None:
            remedy = "Give labels: the names of the classes in the order of their ids, or their number"
            yield Mistake(f"tasks.{name}.labels", "the classes are not known", remedy)

    def label_types(self, values: Mapping[str, pa.Array], filtered: bool) -> Mapping[str, pa.DataType]:
        """Read ids as numbers, and what is spelled otherwise as it is."""
        return class_types(values, self.labels if isinstance(self.labels, list) else None, filtered)

    def resolve(self, name: str, splits: Mapping[str, Dataset]) -> Self:
        """Name the classes."""
        return self.model_copy(update={"labels": resolve_classes(self.labels, self.label, name, splits)})

    def encode(self, name: str, split: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Make class ids, int64 [n]."""
        return encode_classes(self.label_names, self.label, name, split, dataset)

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Keep the shares of the classes."""
        return labels

    def class_counts(self, labels: np.ndarray) -> np.ndarray:
        """Count the rows of each class."""
        return np.bincount(labels, minlength=self.num_classes)

    def label_notes(self, name: str, train: Dataset, given: Self | None) -> list[str]:
        """Say what is odd about classes that were found, and how numbers became classes that have names."""
        found = given is not None and not isinstance(given.labels, list)
        names = self.label_names or []
        notes = found_notes(names, self.label, name) if found else []
        named = isinstance(self.labels, list)
        return [*notes, *(order_notes(names, self.label, name, train) if named else [])]

    def train_notes(self, labels: np.ndarray) -> list[str]:
        """Name the classes that have no training row."""
        return absent_notes(self.label_names or [], self.class_counts(labels))
