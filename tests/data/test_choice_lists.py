"""Choices of rows from a column of lists, or from a column for each."""

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset, Features, Sequence, Value

from hf_mtl.data.choice_lists import (
    are_choices,
    choice_counts,
    choice_lists,
    choice_mistakes,
    in_any_order,
    repeated_choices,
)

LISTS = Dataset.from_dict({"choices": [["a", "b"], ["c", "d", "e"], ["f", "f"]]})
COLUMNS = Dataset.from_dict({"x": ["a", "c", "f"], "y": ["b", "d", "f"], "z": [None, "e", " "]})


def said(rows: Dataset, columns: str | list[str], used: list[bool] | None = None) -> list[str]:
    looked = np.ones(len(rows), dtype=bool) if used is None else np.array(used)
    return [item.problem for item in choice_mistakes(rows, columns, "tasks.t.choices", "train", looked)]


def test_columns_and_lists_give_the_same_choices() -> None:
    expected = [["a", "b"], ["c", "d", "e"], ["f", "f"]]
    assert choice_lists(LISTS, "choices").to_pylist() == expected
    assert choice_lists(COLUMNS, ["x", "y", "z"]).to_pylist() == expected
    assert choice_counts(choice_lists(COLUMNS, ["x", "y", "z"])).tolist() == [2, 3, 2]
    assert said(LISTS, "choices") == said(COLUMNS, ["x", "y", "z"]) == []


def test_choices_are_those_of_selected_rows_of_lists_of_any_layout() -> None:
    assert choice_lists(LISTS.select([2, 0]), "choices").to_pylist() == [["f", "f"], ["a", "b"]]
    fixed = Dataset.from_dict(
        {"choices": [["a", "b"], ["c", "d"]]}, Features({"choices": Sequence(Value("string"), 2)})
    )
    assert choice_lists(fixed.select([1]), "choices").to_pylist() == [["c", "d"]]
    null = Dataset(pa.table({"choices": pa.array([["a", "b"], None, ["c", "d"]])}))
    assert choice_lists(null, "choices").to_pylist() == [["a", "b"], [], ["c", "d"]]


def test_rows_with_too_few_or_empty_choices_are_named() -> None:
    rows = Dataset.from_dict({"choices": [["a", "b"], ["c"], ["d", " "], [], ["e", None]]})
    assert said(rows, "choices") == [
        "train has 2 rows with fewer than two choices: rows 1 and 3, counted from 0",
        "train has 2 rows with an empty choice: rows 2 and 4, counted from 0",
    ]
    assert said(rows, "choices", used=[True, False, False, False, False]) == []


def test_a_choice_after_an_empty_one_is_named() -> None:
    rows = Dataset.from_dict({"x": ["a", "b", ""], "y": ["c", "", "d"], "z": ["e", "f", "g"]})
    assert said(rows, ["x", "y", "z"]) == [
        "train has 2 rows with a choice after an empty one: rows 1 and 2, counted from 0"
    ]


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ({"choices": ["a", "b"]}, "choices"),
        ({"choices": [[1], [2]]}, "choices"),
        ({"x": ["a"], "y": [1]}, ["x", "y"]),
        ({"x": ["a"]}, ["x", "y"]),
    ],
)
def test_columns_of_other_types_hold_no_choices(rows: dict[str, list[object]], columns: str | list[str]) -> None:
    assert not are_choices(Dataset.from_dict(rows), columns)
    assert are_choices(LISTS, "choices")
    assert are_choices(COLUMNS, ["x", "y", "z"])


def test_repeated_choices_are_found_and_their_order_can_be_left_out() -> None:
    assert repeated_choices(choice_lists(LISTS, "choices")).tolist() == [False, False, True]
    turned = Dataset.from_dict({"choices": [["b", "a"], ["e", "c", "d"], ["f", "f"]]})
    first, second = (in_any_order(choice_lists(rows, "choices")) for rows in (LISTS, turned))
    assert first.equals(second)
