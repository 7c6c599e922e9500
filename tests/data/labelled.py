"""Datasets of one label column, and what becomes of it."""

import pytest
from datasets import ClassLabel, Dataset, Features

from hf_mtl import SequenceClassification
from hf_mtl.errors import DataError

XY = ClassLabel(names=["x", "y"])


def column(values: list, feature: object = None) -> Dataset:
    if isinstance(feature, ClassLabel):
        # As files load: ids that are out of range pass unchecked.
        return Dataset.from_dict({"label": values}).cast_column("label", feature)
    return Dataset.from_dict({"label": values}, features=Features({"label": feature}) if feature else None)


def resolved(values: list, feature: object = None, labels: list[str] | int | None = None) -> list[str] | int | None:
    return SequenceClassification(labels=labels).resolve("a", {"train": column(values, feature)}).labels


def message(call: object, *args: object) -> str:
    with pytest.raises(DataError) as caught:
        call(*args)
    return str(caught.value)
