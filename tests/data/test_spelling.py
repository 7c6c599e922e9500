from typing import Any

import pytest
from datasets import Dataset

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data.spelling import read_numbers
from hf_mtl.tasks import DatasetSource, RowFilter, Task


def typed(task: Task, *columns: list, filter: RowFilter | None = None) -> list[list]:
    splits = {
        str(index): Dataset.from_dict({"text": values, "label": values}) for index, values in enumerate(columns)
    }
    read = read_numbers(splits, task, DatasetSource(path="csv", filter=filter))
    for split, values in zip(splits, columns, strict=True):
        assert read[split]["text"][:] == values
        assert read[split].column_names == ["text", "label"]
    return [part["label"][:] for part in read.values()]


@pytest.mark.parametrize(
    ("labels", "values", "expected"),
    [
        (None, ["0", "12", "-1", None], [0, 12, -1, None]),
        (None, [" 1", "0 "], [1, 0]),
        (None, ["007", "8"], ["007", "8"]),
        (None, ["1.0", "0.0", "", "2"], ["1.0", "0.0", "", "2"]),  # no such value comes from a file
        (["a", "b"], ["1.0", "0.0", None], [1.0, 0.0, None]),
        (None, ["1.1", "1.10"], [1.1, 1.1]),
        (["1.1", "1.10"], ["1.1", "1.10"], ["1.1", "1.10"]),
        (None, ["True", "false"], ["True", "false"]),
        (None, ["1", "one"], ["1", "one"]),
        (None, ["12345678901234567890", "1"], ["12345678901234567890", "1"]),
        (None, [None, None], [None, None]),
    ],
)
def test_labels_are_numbers_only_where_they_are_whole_and_plain(labels: Any, values: list, expected: list) -> None:
    assert typed(SequenceClassification(labels=labels), values) == [expected]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2.5", "+1e3", " .5", "007", None], [1.0, -2.5, 1000.0, 0.5, 7.0, None]),
        (["True", "false", None], [True, False, None]),
        (["1", "nan"], ["1", "nan"]),
        (["1", "NA"], ["1", "NA"]),
    ],
)
def test_targets_are_numbers_if_all_of_them_are(values: list, expected: list) -> None:
    assert typed(Regression(), values) == [expected]


def test_a_column_is_of_one_kind_in_all_splits() -> None:
    assert typed(SequenceClassification(), ["007"], ["8"]) == [["007"], ["8"]]
    assert typed(Regression(), ["1"], ["2.5"], [None]) == [[1.0], [2.5], [None]]


def test_one_split_may_hold_the_ids_of_classes_that_another_names() -> None:
    named = SequenceClassification(labels=["bad", "good"])
    assert typed(named, ["0", "1"], ["good", "bad"]) == [[0, 1], ["good", "bad"]]
    assert typed(SequenceClassification(labels=["007", "8"]), ["007"], ["8"]) == [["007"], ["8"]]
    assert typed(SequenceClassification(), ["0", "1"], ["good", "bad"]) == [["0", "1"], ["good", "bad"]]


def test_a_filter_compares_numbers_and_booleans() -> None:
    task = SequenceClassification(label="other", labels=["a", "b"])
    for value in ("1", 1):
        assert typed(task, ["1", "02"], filter=RowFilter(column="label", equals=value)) == [[1.0, 2.0]]
    assert typed(task, ["true", "False"], filter=RowFilter(column="label", equals=True)) == [[True, False]]
    assert typed(task, ["1", "x"], filter=RowFilter(column="label", equals="x")) == [["1", "x"]]
