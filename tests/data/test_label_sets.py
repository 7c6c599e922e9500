"""Labels of which a row may have several, in the forms that data have them."""

from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from hf_mtl import MultiLabelClassification
from hf_mtl.data.label_sets import UNKNOWN
from hf_mtl.errors import DataError

NAN = float("nan")
AB = ClassLabel(names=["a", "b"])


def rows(values: list[Any], feature: Any = None) -> Dataset:
    return Dataset.from_dict({"label": values}, features=None if feature is None else Features({"label": feature}))


def read(task: MultiLabelClassification, dataset: Dataset, split: str = "train") -> tuple[list[Any], list[bool]]:
    values, missing = task.resolve("t", {"train": dataset}).encode("t", split, dataset)
    assert values.dtype == np.int8
    return values.tolist(), missing.tolist()


NOTHING = [UNKNOWN, UNKNOWN]


@pytest.mark.parametrize(
    ("dataset", "labels"),
    [
        (rows([["a"], [], None, ["b", "a"]]), None),
        (rows([["a"], [], None, ["b", "a", "b"]], List(Value("large_string"))), ["a", "b"]),
        (rows([[0], [], None, [1, 0]], List(AB)), None),
        (rows([[1, 0], [0, 0], None, [1, 1]]), ["a", "b"]),
        (rows([[1.0, 0.0], [0.0, 0.0], [NAN, None], [1.0, 1.0]]), ["a", "b"]),
        (rows([[True, False], [False, False], None, [True, True]]), ["a", "b"]),
        (rows([[1, 0], [0, 0], [-100, -100], [1, 1]], List(Value("int64"), length=2)), 2),
    ],
)
def test_every_form_tells_which_labels_a_row_has(dataset: Dataset, labels: Any) -> None:
    task = MultiLabelClassification(labels=labels)
    assert read(task, dataset) == ([[1, 0], [0, 0], NOTHING, [1, 1]], [False, False, True, False])
    part = dataset.select([3, 1, 0])
    assert task.resolve("t", {"train": dataset}).encode("t", "train", part)[0].tolist() == [[1, 1], [0, 0], [1, 0]]


def test_a_column_of_each_label_may_hold_numbers_booleans_or_classes_and_what_is_not_known() -> None:
    dataset = Dataset.from_dict(
        {
            "a": [1, 0, None, -100],
            "b": [1.0, NAN, 0.0, NAN],
            "c": [True, False, None, None],
            "d": [0, 1, 1, None],
        }
    ).cast_column("d", ClassLabel(names=["no", "yes"]))
    task = MultiLabelClassification(label=["a", "b", "c", "d"])
    u = UNKNOWN
    assert read(task, dataset) == ([[1, 1, 1, 0], [0, u, 0, 1], [u, 0, u, 1], [u, u, u, u]], [False] * 3 + [True])
    assert task.resolve("t", {"train": dataset}).labels == ["a", "b", "c", "d"]
    named = MultiLabelClassification(label=["a", "b"], labels=["x", "y"])
    assert named.output_names == ["x", "y"]
    assert read(named, dataset)[0] == [[1, 1], [0, u], [u, 0], [u, u]]


def test_names_are_found_in_the_data_counted_or_declared() -> None:
    def found(dataset: Dataset, labels: Any = None, **others: Dataset) -> Any:
        return MultiLabelClassification(labels=labels).resolve("t", {"train": dataset, **others}).labels

    assert found(rows([["b"], ["a"]]), validation=rows([["c", "a"]]), test=rows([["z"]])) == ["a", "b", "c"]
    assert found(rows([[0, 1, 0]])) == ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert found(rows([[]], List(AB))) == ["a", "b"]
    assert found(rows([["b"], ["a"]]), 2) == ["a", "b"]


@pytest.mark.parametrize(
    ("dataset", "labels", "key", "words"),
    [
        (rows([0, 1]), ["a", "b"], "label", "holds int64, and no lists"),
        (rows(["a,b", "a"]), ["a", "b"], "label", "holds large_string, and no lists"),
        (rows([["a"], ["c"]]), ["a", "b"], "label", "1 row with unknown labels 'c' (row 1, counted from 0)"),
        (rows([["a", None]]), ["a", "b"], "label", "1 row with unknown labels None"),
        (rows([[0, 1], [1]]), None, "labels", "cannot tell the labels: train has lists of 1, 2 numbers"),
        (rows([[0, 1], [1]]), ["a", "b"], "label", "1 row with other than 2 numbers in the list: row 1"),
        (rows([[0, 1], [1, 5]]), ["a", "b"], "label", "other than 1 and 0 in 5 (row 1, counted from 0)"),
        (rows([["a"], ["b"]]), 3, "labels", "labels is 3, and the data has 2: 'a', 'b'"),
        (rows([[], []]), None, "labels", "no label is in any list"),
        (rows([[{"x": 1}]]), ["a"], "label", "holds lists of struct"),
    ],
)
def test_what_tells_no_labels_is_a_mistake(dataset: Dataset, labels: Any, key: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        read(MultiLabelClassification(labels=labels), dataset)
    [mistake] = caught.value.mistakes
    assert mistake.key == f"tasks.t.{key}"
    assert words in mistake.problem


def test_lists_that_are_spelled_as_texts_say_who_can_read_them() -> None:
    for column, helped in (['["a"]', '["b"]'], True), ([0, 1], False):
        with pytest.raises(DataError) as caught:
            read(MultiLabelClassification(labels=["a", "b"]), rows(column))
        assert ("a dataset's function can read" in str(caught.value)) == helped


def test_mistakes_of_all_columns_come_together() -> None:
    dataset = Dataset.from_dict({"a": [0, 2], "b": ["yes", "no"], "c": [1, 0]})
    with pytest.raises(DataError) as caught:
        read(MultiLabelClassification(label=["a", "b", "c"]), dataset)
    first, second = (item.problem for item in caught.value.mistakes)
    assert first == "train column 'a' has other than 1 and 0: 2 (row 1, counted from 0)"
    assert second == "train column 'b' holds large_string"


def test_columns_of_a_csv_file_are_read_as_numbers() -> None:
    import pyarrow as pa

    kinds = MultiLabelClassification(label=["a"]).label_types({"train": pa.array(["1", "0", None])}, False)
    assert kinds == {"train": pa.int64()}
