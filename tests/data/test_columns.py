"""Columns as arrow arrays."""

import pytest
from datasets import Dataset

from hf_mtl.data.columns import arrow_column


def test_a_column_of_thousands_is_read_without_a_copy_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset.from_dict({"a": [1, 2, 3], "b": ["x", None, "z"]})
    moved = dataset.select([2, 0])
    assert arrow_column(moved, "b").to_pylist() == ["z", "x"]
    monkeypatch.setattr(Dataset, "select_columns", None)
    assert arrow_column(dataset, "b").to_pylist() == ["x", None, "z"]
