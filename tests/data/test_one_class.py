"""What is read of a column of classes, for every type of task that has one."""

import numpy as np
import pytest
from datasets import Dataset
from pydantic import ValidationError

from hf_mtl import OrdinalClassification, SequenceClassification
from hf_mtl.data.one_class import OneClass

TYPES = (SequenceClassification, OrdinalClassification)


@pytest.mark.parametrize("kind", TYPES)
def test_classes_are_named_counted_or_unknown(kind: type[OneClass]) -> None:
    assert kind(labels=["x", "y"]).label_names == ["x", "y"]
    assert kind(labels=3).label_names == ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert kind(labels=3).num_classes == 3
    assert kind().label_names is None
    with pytest.raises(ValueError, match="the classes are not known"):
        _ = kind().num_classes


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("keys", [{"label": ["x", "y"]}, {"labels": ["x"]}, {"labels": ["x", "x"]}, {"labels": 1}])
def test_one_column_and_two_or_more_names_are_wanted(kind: type[OneClass], keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        kind(**keys)


@pytest.mark.parametrize("kind", TYPES)
def test_rows_are_counted_by_class_also_by_those_without_rows(kind: type[OneClass]) -> None:
    task = kind(labels=["x", "y", "z"])
    labels, missing = task.encode("t", "train", Dataset.from_dict({"label": ["z", None, "x", "z"]}))
    assert missing.tolist() == [False, True, False, False]
    assert task.class_counts(labels[~missing]).tolist() == [1, 0, 2]
    np.testing.assert_array_equal(task.strata(labels), labels)
    assert task.train_notes(labels[~missing]) == ["train has no row of class 'y', which cannot be learned."]
