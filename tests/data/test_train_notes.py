"""Classes and targets that training rows cannot teach."""

from pathlib import Path
from typing import Any

import datasets
import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data.labels import encode_labels
from hf_mtl.data.load import load_task
from hf_mtl.tasks import RowFilter
from tests.data.rows import message, rows, saved

pytestmark = pytest.mark.usefixtures("own_cache")


HOLE = datasets.ClassLabel(names=["low", "high", "never"])


@pytest.mark.parametrize("labels", [None, ["low", "high", "never"], 3])
def test_a_class_that_no_split_has_is_said_and_may_be_left_out(tmp_path: Path, labels: Any) -> None:
    source = saved(tmp_path, feature=HOLE, train=rows([0, 1, 1]), validation=rows([1, 0]))
    loaded = load_task("t", SequenceClassification(dataset=source, labels=labels))
    assert loaded.task.labels == ["low", "high", "never"]
    assert loaded.notes == [
        "t: train has no row of class 'never', which cannot be learned.",
        "t: no split has a row of class 'never'; labels may leave it out.",
    ]
    without = load_task("t", SequenceClassification(dataset=source, labels=["high", "low"]))
    assert (without.task.labels, without.notes) == (["high", "low"], [])
    assert encode_labels(without.task, "t", "train", without.splits["train"]).values.tolist() == [1, 0, 0]


def test_a_class_that_has_rows_is_not_left_out_by_labels_alone(tmp_path: Path) -> None:
    source = saved(tmp_path, feature=HOLE, train=rows([0, 1, 2]), validation=rows([1, 0]))
    task = SequenceClassification(dataset=source, labels=["low", "high"])
    text = message(load_task, "t", task)
    assert "train has 1 row with unknown labels 'never' (row 2" in text
    assert "Classes: high, low. A filter leaves out the rows of other classes." in text
    meant = source.model_copy(update={"filter": RowFilter(column="label", one_of=["low", "high"])})
    assert len(load_task("t", task.model_copy(update={"dataset": meant})).splits["train"]) == 2


@pytest.mark.parametrize(
    ("train", "others", "names"),
    [
        (["a", "b"], ["c", "b"], ["a", "b", "c"]),
        ([0, 1], [2, 0], ["LABEL_0", "LABEL_1", "LABEL_2"]),
        ([0, 2], [1, 0], ["LABEL_0", "LABEL_1", "LABEL_2"]),
    ],
)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_class_that_only_another_split_has_is_one(
    tmp_path: Path, train: list, others: list, names: list, split: str
) -> None:
    splits = {"train": rows(train * 3), "validation": rows(train[:1]), split: rows(others)}
    loaded = load_task("t", SequenceClassification(dataset=saved(tmp_path, **splits)))
    assert loaded.task.labels == names
    only = ({0: "a", 1: "b", 2: "c"} if names[0] == "a" else {i: f"LABEL_{i}" for i in range(3)})[
        1 if train == [0, 2] else 2
    ]
    assert loaded.notes == [
        f"t: train has no row of class '{only}', which cannot be learned.",
        f"t: {split} has 1 row of class '{only}'; its scores count them.",
    ]


def test_a_train_split_of_one_class_is_said(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows(["a"] * 3), validation=rows(["a", "b"]))
    assert load_task("t", SequenceClassification(dataset=source)).notes == [
        "t: every train row is of class 'a'; there is nothing to learn.",
        "t: validation has 1 row of class 'b'; its scores count them.",
    ]


def test_a_constant_target_is_a_note(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows([2.5] * 3), validation=rows([1.0]))
    notes = load_task("t", Regression(dataset=source)).notes
    assert notes == ["t: the target 'label' is 2.5 in every train row; there is nothing to learn."]
