"""Targets of regression from number columns."""

import numpy as np
import pytest
from datasets import Dataset, Features, Value

from hf_mtl import Regression
from hf_mtl.data.labels import encode_labels
from hf_mtl.data.targets import target_moments
from tests.data.labelled import message

NAN = float("nan")


def targets(*columns: list, feature: object = None) -> np.ndarray:
    names = [f"t{index}" for index in range(len(columns))]
    features = Features(dict.fromkeys(names, feature)) if feature else None
    dataset = Dataset.from_dict(dict(zip(names, columns, strict=True)), features=features)
    return encode_labels(Regression(label=names), "a", "validation", dataset)


def test_targets_are_one_column_each_and_a_row_needs_one() -> None:
    labels = targets([0.5, 1.5, None, None, NAN], [1, None, 3, None, None])
    assert labels.values.dtype == np.float64
    np.testing.assert_array_equal(labels.values, [[0.5, 1], [1.5, NAN], [NAN, 3], [NAN, NAN], [NAN, NAN]])
    assert labels.missing.tolist() == [False, False, False, True, True]


def test_moments_are_those_of_the_rows_that_have_a_target() -> None:
    mean, std = target_moments(np.array([[1.0, 6.9, NAN], [NAN, 6.9, NAN], [3.0, 6.9, NAN]]))
    assert mean.tolist() == [2.0, pytest.approx(6.9), 0.0]
    assert std.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("feature", ["int8", "uint64", "float16", "float32", "bool"])
def test_any_number_type_is_a_target(feature: str) -> None:
    assert targets([1, 0, None], feature=Value(feature)).values[:2, 0].tolist() == [1.0, 0.0]


def test_a_column_of_none_is_all_missing() -> None:
    assert targets([None, None]).missing.all()


def test_nan_of_a_single_target_and_infinite_ones_are_mistakes_and_none_is_not() -> None:
    text = message(targets, [0.5, NAN, None, NAN, -float("inf")])
    assert "tasks.a.label: validation has 2 NaN targets in column 't0': rows 1 and 3, counted from 0" in text
    assert "validation has 1 infinite target in column 't0': row 4, counted from 0" in text


def test_string_targets_are_mistakes_that_say_whether_they_are_numbers() -> None:
    assert "every value is a number written as text. Cast the column" in message(targets, ["0.5", " 1e-3", None])
    text = message(targets, ["0.5", "high", "nan"])
    assert "validation column 't0' is a string column, not numbers: 'high', 'nan' (rows 1 and 2" in text
    assert "holds list" in message(targets, [[0.5], [1.0]])


def test_targets_outside_their_range_are_mistakes_that_name_rows_and_rounding_is_none() -> None:
    task = Regression(label=["x", "y"], range=[[0, 0.3], [1, 5]])
    inside = {"x": np.float32([0.3, 0.0]), "y": [1, 5]}
    assert encode_labels(task, "a", "train", Dataset.from_dict(inside)).values[0, 0] > 0.3
    outside = {"x": [0.1, 0.31, None], "y": [0.5, 3.0, 7.0]}
    text = message(encode_labels, task, "a", "train", Dataset.from_dict(outside))
    assert "tasks.a.label: train has 1 target outside [0, 0.3] in column 'x': 0.31 (row 1, counted from 0)" in text
    assert "train has 2 targets outside [1, 5] in column 'y': 0.5, 7.0 (rows 0 and 2, counted from 0)" in text
