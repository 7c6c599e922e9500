"""Classes that are found in the data, and what is said of them."""

import json

import datasets
import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data.labels import encode_labels
from tests.data.labelled import XY, column, message


def notes(labels: list[str] | int | None, values: list, feature: object = None) -> list[str]:
    given = SequenceClassification(labels=labels)
    train = column(values, feature)
    return given.resolve("a", {"train": train}).label_notes("a", train, given)


def test_classes_that_differ_only_in_blanks_or_case_are_said() -> None:
    (note,) = notes(None, ["refund ", "refund", "Refund", "x"])
    assert note.startswith("a: the classes 'Refund' beside 'refund' beside 'refund ' differ only in blanks, case")
    assert len(notes(None, ["caf\u00e9", "cafe\u0301"])) == 1
    assert notes(["refund ", "refund"], ["refund ", "refund"]) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["0", "1", "NA"], ["a: 'NA' beside the numbers of 'label' became a class of its own; "]),
        (["0", "1", "2", "x", "y"], ["a: 'x', 'y' beside the numbers of 'label' became classes of their own; "]),
        (["1", "2", "many"], []),
        (["0", "1"], []),
    ],
)
def test_words_beside_ids_are_said_to_be_classes(values: list, said: list) -> None:
    given = SequenceClassification()
    data = column(values)
    task = given.resolve("a", {"train": data})
    assert [note.split("a row")[0] for note in task.label_notes("a", data, given)] == said


def test_booleans_and_numbers_say_which_class_they_are() -> None:
    assert notes(["ham", "spam"], [True, False]) == [
        "a: the column 'label' holds booleans: False is 'ham', True is 'spam'."
    ]
    (note,) = notes(["1", "0"], [0, 1])
    assert note == "a: the numbers of 'label' name classes as labels spells them: 0 is '0', class 1."
    for labels, values in ((["True", "False"], [True, False]), (["0", "1"], [0, 1]), (["a", "b"], [0, 1])):
        assert notes(labels, values) == []
    assert notes(None, [0, 1], XY) == []


@pytest.mark.parametrize(
    ("train", "validation", "words"),
    [
        (["neg", "pos"], [0, 1], "train has words for labels and validation has numbers"),
        (["neg", "pos"], ["0", "1"], "train has words for labels and validation has numbers"),
        ([0, 1], ["neg", "pos"], "train has numbers for labels and validation has words"),
        ([True, False], [0, 1], "train has words for labels and validation has numbers"),
        (["neg", "pos", "0", "1"], ["neg"], "train mixes numbers, '0', '1', and words, 'neg', 'pos'"),
    ],
)
def test_words_beside_ids_need_labels(train: list, validation: list, words: str) -> None:
    splits = {"train": column(train), "validation": column(validation)}
    text = message(SequenceClassification().resolve, "a", splits)
    assert text.startswith(f"tasks.a.labels: {words}")
    assert "Give labels" in text
    given = SequenceClassification(labels=["neg", "pos"])
    assert given.resolve("a", splits).labels == ["neg", "pos"]


def test_names_that_are_codes_may_be_digits_in_a_split() -> None:
    splits = {"train": column(["250", "V45"]), "validation": column(["250"]), "test": column([None])}
    assert SequenceClassification().resolve("a", splits).labels == ["250", "V45"]


@pytest.mark.parametrize("values", [[0, "neg"], [True, 1], ["a", 1]])
def test_a_mixed_column_is_named_as_what_it_is(values: list) -> None:
    if not hasattr(datasets, "Json"):
        pytest.skip("this version of datasets refuses such a column itself")
    mixed = column([json.dumps(value) for value in values]).cast_column("label", datasets.Json())
    for task in (SequenceClassification(labels=["a", "b"]), Regression()):
        text = message(encode_labels, task, "a", "train", mixed)
        assert "train column 'label' holds a mix of " in text
