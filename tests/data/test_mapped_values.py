"""Values of a column and the keys of a map: what is the same value, whatever wrote it."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, Features, LargeList, List, Sequence, Value

from hf_mtl.data.mapped_values import ambiguous_keys, canonical, map_column

NAMES = {"0": "bad", "4": "good"}


def mapped(values: list, labels: dict, feature: Any = None) -> Any:
    features = None if feature is None else Features({"label": feature})
    found = map_column(Dataset.from_dict({"label": values}, features=features), "label", labels, "train", "k.label")
    if found.mistakes:
        return " | ".join(str(mistake) for mistake in found.mistakes)
    return found.dataset["label"][:]


@pytest.mark.parametrize(
    ("values", "feature"),
    [
        ([0, 4, None], None),
        ([0, 4, None], Value("uint8")),
        ([0.0, 4.0, float("nan")], None),
        (["0", " 4 ", None], None),
        (["0.0", "4.0", " "], None),
        (["0", "4", ""], Value("large_string")),
        (["0", "4", None], Value("string_view")),
        ([0, 4, -1], ClassLabel(names=["bad", "b", "c", "d", "good"])),
        ([1, 0, -1], ClassLabel(names=["4", "0"])),  # its names, and not its ids
    ],
)
def test_a_key_stands_for_its_value_whatever_the_column_holds(values: list, feature: Any) -> None:
    assert mapped(values, NAMES, feature) == ["bad", "good", None]


@pytest.mark.parametrize("values", [[True, False], ["True", "FALSE"], ["true", "false"]])
def test_booleans_are_spelled_as_a_recipe_does(values: list) -> None:
    assert mapped(values, {"true": 1, "false": 0}) == [1, 0]


def test_a_word_is_no_number_and_a_code_no_other_code() -> None:
    assert "that the map lacks: '007', '4 stars' (rows 0 and 2" in mapped(
        ["007", "7", "4 stars"], {"7": "x", "4": "y"}
    )
    assert mapped(["1.10", "1.1"], {"1.10": "ten", "1.1": "one"}) == ["ten", "one"]
    assert [canonical(text) for text in ("-0", "0.50", "4.", "1e3", "007", "+4", "1234567890123456")] == [
        "0",
        "0.5",
        "4",
        "1e3",
        "007",
        "+4",
        "1234567890123456",
    ]


def test_a_value_that_the_map_lacks_is_a_mistake_with_counts_and_examples() -> None:
    assert mapped([0, 2, 4, 2, 3], NAMES) == (
        "k.label: train has 3 rows with values of 'label' that the map lacks: 2, 3 (rows 1, 3 and 4, counted from "
        "0). It has: 0, 4. Add them (null: no label), or leave the rows out with a filter."
    )
    assert "lacks: 'goood' (row 0, counted from 0). It has: bad, good. Did you mean 'good'?" in mapped(
        ["goood", "bad"], {"good": 1, "bad": 0}
    )
    text = mapped([0, 1, 1], {"x": "a"}, ClassLabel(names=["x", "y"]))
    assert "2 rows with values of 'label' that the map lacks: 'y' (rows 1 and 2" in text
    # The id of another class is not what a key means that is a class's name.
    assert "lacks: '1'" in mapped([0, 1], {"0": "a"}, ClassLabel(names=["0", "1"]))


@pytest.mark.parametrize(
    ("labels", "expected", "kind"),
    [
        ({"0": 1, "4": 0}, [1, 0], "int64"),
        ({"0": 0.5, "4": 1}, [0.5, 1.0], "float64"),
        ({"0": True, "4": False}, [True, False], "bool"),
        ({"0": "1", "4": None}, ["1", None], "string"),
        ({"0": None, "4": 3}, [None, 3], "int64"),
    ],
)
def test_the_labels_say_the_type_and_null_is_no_label(labels: dict, expected: list, kind: str) -> None:
    found = map_column(Dataset.from_dict({"label": [0, 4]}), "label", labels, "train", "k").dataset
    assert (found["label"][:], found.features["label"]) == (expected, Value(kind))


@pytest.mark.parametrize("kind", [List, LargeList, Sequence, lambda item: Sequence(item, length=2)])
def test_lists_are_mapped_element_by_element(kind: Any) -> None:
    values = [["a", "b"], ["b", "b"], None]
    assert mapped(values, {"a": "x", "b": "y"}, kind(Value("string"))) == [["x", "y"], ["y", "y"], None]


def test_rows_of_lists_that_lack_a_value_are_named_and_null_is_refused_there() -> None:
    text = mapped([["a"], [], ["b", "a"], None, ["c", "b"]], {"a": 1}, List(Value("string")))
    assert "2 rows with values of 'label' that the map lacks: 'b', 'c' (rows 2 and 4" in text
    assert "k.label.a: is null, and train column 'label' holds lists" in mapped([["a"]], {"a": None})


@pytest.mark.parametrize("rows", [range(2, 6), [5, 2, 3]])
@pytest.mark.parametrize("kind", [List, LargeList, lambda item: Sequence(item, length=2)])
def test_elements_of_rows_that_are_not_there_do_not_count(kind: Any, rows: Any) -> None:
    values = [["z", "z"], ["z", "z"], ["a", "b"], None, ["b", "a"], ["b", "b"], ["z", "z"]]
    features = Features({"label": kind(Value("string"))})
    part = Dataset.from_dict({"label": values}, features=features).select(rows)
    found = map_column(part, "label", {"a": "x", "b": "y"}, "train", "k")
    expected = [values[row] and [{"a": "x", "b": "y"}[value] for value in values[row]] for row in rows]
    assert found.dataset["label"][:] == expected


def test_a_list_that_is_null_hides_what_no_map_has_to_name() -> None:
    hidden = pa.ListArray.from_arrays([0, 1, 2], pa.array(["a", "z"]), mask=pa.array([False, True]))
    found = map_column(Dataset(pa.table({"label": hidden})), "label", {"a": "x"}, "train", "k")
    assert found.dataset["label"][:] == [["x"], None]


def test_a_column_of_something_else_cannot_be_mapped() -> None:
    assert "Texts, numbers and booleans, or lists, are mapped." in mapped([{"a": 1}], {"a": "x"})


def test_order_and_place_of_columns_and_the_keys_that_were_used() -> None:
    part = Dataset.from_dict({"a": [1, 2], "label": [0, 0], "z": [3, 4]})
    found = map_column(part, "label", NAMES, "train", "k")
    assert found.dataset.column_names == ["a", "label", "z"]
    assert found.used == {"0"}


def test_keys_that_are_one_value_need_one_label() -> None:
    assert [str(item) for item in ambiguous_keys({"4": "a", "4.0": "b", " 4": "a", "04": "c"}, "k")] == [
        "k.4.0: is 'b', and '4', the same value, is 'a'. Keep one of them."
    ]


def test_a_million_values_are_looked_up_by_their_kinds() -> None:
    values = np.random.default_rng(0).integers(0, 5, 1_000_000)
    part = Dataset(pa.table({"label": values}))
    labels = {str(value): f"class {value}" for value in range(5)}
    found = map_column(part, "label", labels, "train", "k").dataset
    assert found["label"][:3] == [f"class {value}" for value in values[:3]]
