"""How a label says which choice is right: found out by all labels, and read."""

from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset

from hf_mtl.data.choice_labels import encode_choice_labels, find_form, read_choice_labels
from hf_mtl.errors import DataError

CHOICES = [["red", "blue"], ["one", "two", "three"], ["up", "down"], ["no", "yes"]]


def read(labels: list[Any], choices: list[list[str]] = CHOICES, names: list[str] | None = None) -> Any:
    rows = Dataset.from_dict({"choices": choices, "label": labels})
    if names is not None:
        rows = rows.cast_column("label", ClassLabel(names=names))
    return read_choice_labels(rows, "label", "choices", "t", "train")


def form(labels: list[Any], **options: Any) -> Any:
    return find_form({"train": read(labels, **options)}, "label", "tasks.t.labels")


def places(form: Any, labels: list[Any], split: str = "train", **options: Any) -> list[int]:
    found, missing = encode_choice_labels(form, read(labels, **options), "tasks.t.label", split)
    np.testing.assert_array_equal(missing, found == -100)
    return found.tolist()


@pytest.mark.parametrize(
    ("labels", "expected", "right"),
    [
        ([0, 2, 1, 1], "index", [0, 2, 1, 1]),
        ([0.0, 2.0, None, 1.0], "index", [0, 2, -100, 1]),
        ([1, 3, 2, 2], "numbers", [0, 2, 1, 1]),
        ([1, 1, 1, 1], "index", [1, 1, 1, 1]),
        (["0", "2", "", "1"], "index", [0, 2, -100, 1]),
        (["1", "3", "2", None], "numbers", [0, 2, 1, -100]),
        (["1.0", "3.0", "2.0", "2.0"], "numbers", [0, 2, 1, 1]),
        (["A", "C", "B", "B"], "letters", [0, 2, 1, 1]),
        (["a", "c", None, "b"], "letters", [0, 2, -100, 1]),
        (["A", "3", "2", "B"], "letters", [0, 2, 1, 1]),
        (["red", "three", " down", "yes"], "text", [0, 2, 1, 1]),
        ([True, False, True, False], "index", [1, 0, 1, 0]),
    ],
)
def test_the_form_of_labels_is_found_and_read(labels: list[Any], expected: str, right: list[int]) -> None:
    assert form(labels) == expected
    assert places(expected, labels) == right


def test_the_text_of_a_choice_counts_before_its_place() -> None:
    digits = [["3", "0", "1"], ["1", "2"]]
    assert form(["0", "2"], choices=digits) == "text"
    assert places("text", ["0", "2"], choices=digits) == [1, 1]
    assert places("text", [0, 2], choices=digits) == [1, 1]
    assert places("text", ["f"], choices=[["e", "f", "f"]]) == [1]


def test_truth_is_a_text_before_it_is_a_place() -> None:
    said = [["true", "false"], ["true", "false"]]
    assert form(["true", "false"], choices=said) == "text"
    assert places("text", ["true", "false"], choices=said) == [0, 1]
    assert form([True, False], choices=[["a", "b"]] * 2) == "index"


def test_all_splits_together_tell_the_form() -> None:
    splits = {"train": read(["1", "1", "1", "1"]), "test": read(["0", "1", "1", "1"])}
    assert find_form(splits, "label", "k") == "index"
    with pytest.raises(DataError, match="which does not tell whether the first choice is 0 or 1. Give labels: index"):
        find_form({"train": splits["train"]}, "label", "k")


def test_labels_that_are_no_choice_of_their_rows_do_not_tell() -> None:
    with pytest.raises(DataError, match="the labels of 'label' are 'down', 'green', .*none of their rows' choices"):
        form(["green", "three", "down", "yes"])


@pytest.mark.parametrize("names", [["0", "1", "2"], ["A", "B", "C"], ["ending0", "ending1", "ending2"]])
def test_ids_of_a_class_label_are_places(names: list[str]) -> None:
    assert form([0, 2, 1, -1], names=names) == "index"
    assert places("index", [0, 2, 1, -1], names=names) == [0, 2, 1, -100]
    assert places("letters", [0, 2, 1, -1], names=names) == [0, 2, 1, -100]
    assert places(names, [0, 2, 1, 1], names=names) == [0, 2, 1, 1]


def test_names_of_a_class_label_out_of_order_count_and_its_ids_do_not() -> None:
    assert form([0, 1, 2, 0], names=["B", "C", "A"]) == "letters"
    assert places("letters", [0, 1, 2, 0], names=["B", "C", "A"]) == [1, 2, 0, 1]


def test_choices_can_be_called_by_names() -> None:
    assert places(["p", "q", "r"], ["p", "r", None, "q"]) == [0, 2, -100, 1]
    assert places(["10", "20", "30"], [10, 30, 20, 10]) == [0, 2, 1, 0]
    with pytest.raises(DataError, match=r"'s' \(row 1, counted from 0\). The choices are called p, q, r"):
        places(["p", "q", "r"], ["p", "s", None, "q"])


@pytest.mark.parametrize(
    ("given", "labels", "wrong"),
    [
        ("index", [0, 3, 1, 1], "'3' (row 1, counted from 0)"),
        ("index", [0, 1, 2, -1], "'2', '-1' (rows 2 and 3, counted from 0)"),
        ("index", [0, 1.5, 1, 1], "'1.5' (row 1, counted from 0)"),
        ("numbers", ["0", "1", "2", "2"], "'0' (row 0, counted from 0)"),
        ("letters", ["A", "D", "B", "A"], "'D' (row 1, counted from 0)"),
        ("text", ["red", "Two", "up", "no"], "'Two' (row 1, counted from 0)"),
        (None, [0, 1, 2, 1], "'2' (row 2, counted from 0)"),
    ],
)
def test_a_label_that_is_no_choice_of_its_row_is_named(given: Any, labels: list[Any], wrong: str) -> None:
    with pytest.raises(DataError) as error:
        places(given, labels)
    assert f"whose label is none of their choices: {wrong}. labels is {given or 'index'}: " in str(error.value)
    assert ("Or name all of them in choices" in str(error.value)) == (labels[1] in (3, "D") or given is None)


def test_rows_to_predict_may_have_ids_that_stand_for_none() -> None:
    assert places("index", [-1, -100, 1, 0], split="test") == [-100, -100, 1, 0]
    assert places("index", ["-1", "-100.0", "1", "0"], split="test") == [-100, -100, 1, 0]
    assert places(["-1", "1"], [-1, 1, -1, -100], split="test") == [0, 1, 0, -100]
    assert places("text", ["-1"], choices=[["1", "-1"]], split="test") == [1]


@pytest.mark.parametrize("train", [[0, 2, 1, 1], [1, 3, 2, 2], ["0", "2", "1", "1"], ["A", "C", "B", "B"]])
def test_rows_to_predict_without_labels_do_not_hide_the_form(train: list[Any]) -> None:
    marks = [type(train[0])(-1)] * 4
    found = find_form({"train": read(train), "test": read(marks)}, "label", "k")
    assert found == form(train)
    assert places(found, marks, split="test") == [-100] * 4
    with pytest.raises(DataError, match="'-1'"):
        find_form({"train": read(train), "validation": read(marks)}, "label", "k")


def test_texts_need_labels_that_say_how_they_are_read() -> None:
    assert places(None, [0, 2, 1, 1]) == [0, 2, 1, 1]
    with pytest.raises(DataError, match="train has labels that are texts. Give labels: index"):
        places(None, ["A", "C", "B", "B"])
