"""Functions of the user's: rows in, rows out; and whatever they do wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from hf_mtl.data import row_function
from hf_mtl.data.row_function import apply_function, load_function, own_modules
from hf_mtl.errors import DataError
from tests.data.rows import message

XY = ClassLabel(names=["x", "y"])


def rows() -> Dataset:
    features = Features({"text": Value("string"), "label": XY})
    return Dataset.from_dict({"text": ["a", "b", "c", "d"], "label": [0, 1, 0, 1]}, features=features)


def applied(function: Any, dataset: Dataset | None = None) -> tuple[list, list]:
    found, origins = apply_function(function, dataset or rows(), "train", "k")
    return found.to_list(), origins.tolist()


def test_a_row_comes_back_changed_is_left_out_or_becomes_several() -> None:
    def function(row: dict[str, Any]) -> object:
        if row["text"] == "b":
            return None
        if row["text"] == "c":
            return [{"text": "c1"}, {"text": "c2", "label": 1}]
        return {"text": row["text"].upper()}

    found, origins = applied(function)
    assert [row["text"] for row in found] == ["A", "c1", "c2", "D"]
    assert [row["label"] for row in found] == [0, 0, 1, 1]
    assert origins == [0, 2, 2, 3]


def test_columns_keep_what_the_dataset_said_of_them_and_new_ones_are_what_they_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(row_function, "_AT_ONCE", 2)
    numbers = iter([None, None, 1, 2.5])
    found, _ = apply_function(lambda row: {"n": next(numbers), "label": row["label"]}, rows(), "train", "k")
    assert found.features == Features({"text": Value("string"), "label": XY, "n": Value("float64")})
    assert found["n"][:] == [None, None, 1.0, 2.5]
    found, _ = apply_function(lambda row: {"label": f"class {row['label']}"}, rows(), "train", "k")
    assert found.features["label"] == Value("string")


def test_the_row_that_was_given_is_the_function_s_own_and_what_it_takes_away_stays() -> None:
    def function(row: dict[str, Any]) -> dict[str, Any]:
        row["text"] = "changed"
        return {"label": row["label"]}

    assert [row["text"] for row in applied(function)[0]] == ["a", "b", "c", "d"]


def test_what_a_function_does_wrong_names_the_row() -> None:
    def fails(row: dict[str, Any]) -> dict[str, Any]:
        return {"n": 1 / (row["text"] != "c")}

    assert message(applied, fails).startswith(
        "k: train row 2, counted from 0: the function raised ZeroDivisionError: division by zero."
    )
    assert "train row 0, counted from 0: the function returned a str" in message(applied, lambda row: row["text"])
    assert "returned a int" in message(applied, lambda row: [1])
    mixed = iter([1, "one", 1, 1])
    assert "train column 'n': the function gives values of no one kind" in message(
        applied, lambda row: {"n": next(mixed)}
    )


def test_chunks_of_different_kinds_are_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_function, "_AT_ONCE", 2)
    assert "gives train columns of different kinds" in message(
        applied, lambda row: {"n": 1 if row["text"] < "c" else "one"}
    )


def test_a_selection_and_nothing_left_are_rows_too() -> None:
    found, origins = applied(lambda row: {}, rows().select([3, 1]))
    assert [row["text"] for row in found] == ["d", "b"]
    assert origins == [0, 1]
    part, origins = apply_function(lambda row: None, rows(), "train", "k")
    assert (len(part), part.column_names, origins.dtype) == (0, ["text", "label"], np.int64)


def test_a_function_is_found_by_its_path_in_the_current_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_rows_a.py").write_text("def clean(row):\n    return row\n\nlimit = 3\n")
    Path("own_rows_b.py").write_text("raise RuntimeError('no')\n")
    with own_modules():
        for path in ("own_rows_a.clean", "own_rows_a:clean"):
            assert load_function(path, "k")({"a": 1}) == {"a": 1}
        assert "'own_rows_a' has no function 'claen'. It has: clean. Did you mean 'clean'?" in message(
            load_function, "own_rows_a.claen", "k"
        )
        assert "has no function 'limit'" in message(load_function, "own_rows_a.limit", "k")
        assert "cannot import 'own_rows_b' (RuntimeError: no)" in message(load_function, "own_rows_b.clean", "k")
        assert "cannot import 'own_rows_c' (ModuleNotFoundError" in message(load_function, "own_rows_c.clean", "k")
    with pytest.raises(DataError, match="in the current folder"):
        load_function("own_rows_d.clean", "k")
