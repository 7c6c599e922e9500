import numpy as np
import pytest
from datasets import ClassLabel, LargeList, List, Value

from hf_mtl import SequenceClassification
from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.data.labels import encode_labels
from tests.data.labelled import XY, column, message, resolved

NAN = float("nan")


def encoded(labels: list[str] | int, values: list, feature: object = None) -> list:
    return encode_labels(SequenceClassification(labels=labels), "a", "train", column(values, feature)).values.tolist()


@pytest.mark.parametrize(
    ("values", "feature", "labels", "expected"),
    [
        ([0, 1], XY, None, ["x", "y"]),
        ([0, 1], XY, 2, ["x", "y"]),
        ([0, 1], XY, ["y", "x"], ["y", "x"]),
        ([[0], [1]], List(XY), None, ["x", "y"]),
        ([0, 1], ClassLabel(num_classes=2), ["no", "yes"], ["no", "yes"]),
        (["b", "a", None, "b"], None, None, ["a", "b"]),
        (["b", "a"], Value("large_string"), None, ["a", "b"]),
        (["b", "a"], None, 2, ["a", "b"]),
        (["a"], None, ["a", "b"], ["a", "b"]),
        ([2, 0, 1, None], None, None, ["LABEL_0", "LABEL_1", "LABEL_2"]),
        ([1.0, 0.0, NAN], None, None, ["LABEL_0", "LABEL_1"]),
        ([True, False], None, None, ["False", "True"]),
        ([True, False], None, 2, ["False", "True"]),
        ([0], None, 3, ["LABEL_0", "LABEL_1", "LABEL_2"]),
    ],
)
def test_class_names_come_from_recipe_dataset_or_data(
    values: list, feature: object, labels: object, expected: list
) -> None:
    assert resolved(values, feature, labels) == expected


@pytest.mark.parametrize(
    ("values", "feature", "labels", "words"),
    [
        ([0, 1], XY, ["x", "z"], "labels x, z are not the dataset's. The dataset's: x, y"),
        ([0, 1], XY, 3, "3 labels, and the dataset has 2 classes. Its classes: x, y"),
        ([0, 1], ClassLabel(num_classes=3), ["no", "yes"], "2 labels, and the dataset has 3 classes"),
        ([1, 2, 5], None, None, "cannot tell the classes: train column 'label' has 1, 2, 5. Give labels"),
        ([0.5, 1.25], None, None, "has 0.5, 1.25. Give labels"),
        (["a", "b"], None, 3, "labels is 3, and train has 2 classes: 'a', 'b'"),
        (["a", "a"], None, None, "the classes found in train are only: 'a'"),
    ],
)
def test_contradictions_between_task_and_data_are_mistakes(
    values: list, feature: object, labels: object, words: str
) -> None:
    text = message(resolved, values, feature, labels)
    assert text.startswith("tasks.a.labels: ")
    assert words in text


@pytest.mark.parametrize(
    ("labels", "values", "feature", "expected"),
    [
        (["x", "y"], [0, 1, None, -1, -100], XY, [0, 1, NO_CLASS, NO_CLASS, NO_CLASS]),
        (["y", "x"], [0, 1, None], XY, [1, 0, NO_CLASS]),
        (["no", "yes"], [0, 1], ClassLabel(num_classes=2), [0, 1]),
        (2, [0, 1], XY, [0, 1]),
        (["b", "a"], ["a", "b", None, ""], None, [1, 0, NO_CLASS, NO_CLASS]),
        (["b", "a"], ["a", "b"], Value("large_string"), [1, 0]),
        (["b", "a"], ["a", "b", None, ""], Value("string_view"), [1, 0, NO_CLASS, NO_CLASS]),
        (["b", "a"], [["a"], None, ["b"]], None, [1, NO_CLASS, 0]),
        (["b", "a"], [[1], [0]], LargeList(Value("int8")), [1, 0]),
        (["b", "a"], [[1], None, [0]], List(Value("int64"), length=1), [1, NO_CLASS, 0]),
        (3, [2, 0, None], None, [2, 0, NO_CLASS]),
        (3, [2.0, 0.0, NAN, None], None, [2, 0, NO_CLASS, NO_CLASS]),
        (2, [True, False, None], None, [1, 0, NO_CLASS]),
        (["True", "False"], [True, False, None], None, [0, 1, NO_CLASS]),
        (["true", "false"], [True, False], None, [0, 1]),
        (["unknown", "FALSE", "TRUE"], [True, False], None, [2, 1]),
        (["ham", "spam"], [True, False], None, [1, 0]),
        (["ham", "spam"], ["True", "false", ""], None, [1, 0, NO_CLASS]),
        (["1", "0"], [True, False], None, [0, 1]),
        (["True", "False"], [["True"], ["False"]], None, [0, 1]),
        (["True", "true"], ["True", "true"], None, [0, 1]),
        (["1.0", "0.0"], [1.0, 0.0, NAN], None, [0, 1, NO_CLASS]),
        (["1", "0"], [1.0, 0.0], None, [0, 1]),
        (["1", "0"], [0, 1], None, [1, 0]),
        (["1", "0"], [0, 1], Value("uint8"), [1, 0]),
        (["0", "1", "many"], [0, 1, 2], None, [0, 1, 2]),
        (["0.5", "2.5"], [2.5, 0.5], None, [1, 0]),
        (["01", "1"], [1, 1], None, [1, 1]),
        (["01", "1"], ["01", "1"], None, [0, 1]),
        (["1", "2", "5"], [5, 1, 2, None], None, [2, 0, 1, NO_CLASS]),
        (["-1", "0", "1"], [-1, 1, 0], None, [0, 2, 1]),
        (2, [None, None], None, [NO_CLASS, NO_CLASS]),
        (["a", "b"], [None, None], Value("string"), [NO_CLASS, NO_CLASS]),
    ],
)
def test_labels_of_every_column_type_become_class_ids(
    labels: object, values: list, feature: object, expected: list
) -> None:
    assert encoded(labels, values, feature) == expected


def test_missing_labels_are_marked() -> None:
    labels = encode_labels(SequenceClassification(labels=2), "a", "train", column([0, None, 1]))
    assert labels.missing.tolist() == [False, True, False]
    assert labels.values.dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "values", "feature", "words"),
    [
        (["joy", "anger"], ["joy", "angr", "joi"], None,
         "train has 2 rows with unknown labels 'angr', 'joi' (rows 1 and 2, counted from 0). "
         "Classes: anger, joy. Did you mean 'anger'?"),
        (3, [0, 7, -1, 7], None, "3 rows with labels outside 0..2: 7, -1 (rows 1, 2 and 3, counted from 0)"),
        (["x", "y"], [0, 2], XY, "1 row with labels outside 0..1: 2 (row 1, counted from 0). 2 classes: x, y"),
        (["1", "0", "many"], [0, 1, 2], None, "unknown labels 2 (row 2, counted from 0)"),
        (["True", "other"], [True, False], None, "unknown labels 'False' (row 1, counted from 0)"),
        (["ham", "spam"], ["True", "ham"], None, "unknown labels 'True'"),
        (["1", "3"], [1, 2], None, "unknown labels 2 (row 1, counted from 0)"),
        (3, [0.5, 1.0, float("inf")], None, "labels that are no integers: 0.5 (row 0, counted from 0)"),
        (3, [0.5, 1.0, float("inf")], None, "labels outside 0..2: inf (row 2, counted from 0)"),
        (3, [[0], [1, 2], []], None, "2 rows with other than one value in 'label': rows 1 and 2"),
        (3, [{"a": 1}], None, "holds struct"),
        (["x", "y"], [0, 1], ClassLabel(names=["x", "z"]), "unknown labels 'z'"),
        (3, list(range(3)) + [9] * 10, None, "rows 3, 4, 5, 6, 7 and 5 more"),
    ],
)  # fmt: skip
def test_wrong_labels_are_counted_located_and_quoted(
    labels: object, values: list, feature: object, words: str
) -> None:
    text = message(encoded, labels, values, feature)
    assert text.startswith("tasks.a.label: ")
    assert words in text


def test_encoding_goes_by_columns() -> None:
    texts = np.array(["joy", "anger"], dtype=object)[np.random.default_rng(0).integers(0, 2, 300_000)]
    labels = encode_labels(SequenceClassification(labels=["anger", "joy"]), "a", "train", column(texts.tolist()))
    assert ((labels.values == 1) == (texts == "joy")).all()
