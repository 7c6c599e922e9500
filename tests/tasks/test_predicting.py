"""Outputs of rows, and columns of types that say nothing about them."""

import json

import numpy as np
from datasets import Dataset

from hf_mtl.tasks.predicting import RowOutputs
from tests.task_types.independent import IndependentLabels


def test_a_type_without_columns_of_its_own_has_one_of_json() -> None:
    task = IndependentLabels(label=["é", "b"])
    found = RowOutputs(np.array([[1.0, -1.0], [-1.0, -1.0]]), Dataset.from_dict({"text": ["x", "y"]}))
    columns = task.columns(found, everything=True)
    assert [json.loads(value) for value in columns["prediction"].to_pylist()] == [[{"label": "é"}], []]
    assert columns["prediction"][0].as_py() == '[{"label": "é"}]'
    assert list(columns) == ["prediction"]


def test_rows_are_selected_with_all_that_belongs_to_them() -> None:
    rows = Dataset.from_dict({"text": ["x", "y", "z"]})
    found = RowOutputs(np.eye(3), rows, np.array(["a", "b", "c"]), np.ones((3, 3))).select(np.array([2, 0]))
    assert (len(found), found.rows["text"][:], found.references.tolist()) == (2, ["z", "x"], ["c", "a"])  # type: ignore[union-attr]
    assert found.outputs.tolist() == [[0, 0, 1], [1, 0, 0]]
