"""Columns as arrow arrays."""

from typing import Any

import datasets.table
import pyarrow as pa
import pytest
from datasets import Dataset

from hf_mtl.data.columns import arrow_column, text_lists
from hf_mtl.data.given_tokens import read_lists


def test_a_column_of_thousands_is_read_without_a_copy_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset.from_dict({"a": [1, 2, 3], "b": ["x", None, "z"]})
    moved = dataset.select([2, 0])
    assert arrow_column(moved, "b").to_pylist() == ["z", "x"]
    monkeypatch.setattr(Dataset, "select_columns", None)
    assert arrow_column(dataset, "b").to_pylist() == ["x", None, "z"]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["a", "b", None], pa.string()),
        pa.array(["a", "b", None], pa.string_view()),
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.array([[1, 2], None, [3]]),
        pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2)),
        pa.array([None, None, None]),
        pa.array([0.5, float("inf"), None]),
    ],
    ids=lambda values: str(values.type),
)
def test_a_selection_of_rows_is_read_without_a_batch_for_each(
    monkeypatch: pytest.MonkeyPatch, values: pa.Array
) -> None:
    class InChunks(Dataset):
        """Features have no word for some types of arrow."""

        @property
        def column_names(self) -> list[str]:
            return ["c"]

        def __init__(self) -> None:
            self._data = datasets.table.InMemoryTable(pa.table({"c": pa.chunked_array([values, values.slice(0, 1)])}))
            self._indices = datasets.table.InMemoryTable(pa.table({"i": pa.array([3, 2, 0, 2], pa.uint64())}))

    monkeypatch.setattr(datasets.table.InMemoryTable, "fast_gather", None)
    selected: Any = InChunks()
    plain = values.to_pylist()
    assert arrow_column(selected, "c").to_pylist() == [plain[0], plain[2], plain[0], plain[2]]
    selected._indices = datasets.table.InMemoryTable(pa.table({"i": pa.array([], pa.uint64())}))
    assert len(arrow_column(selected, "c")) == 0


def test_lists_and_texts_are_read_through_a_selection_too(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset.from_dict({"ids": [[1, 2], [], [3]], "text": ["x", "y", "z"]}).select([2, 0])
    monkeypatch.setattr(datasets.table.InMemoryTable, "fast_gather", None)
    lists = read_lists(dataset, "ids")
    assert (lists.values.tolist(), lists.offsets.tolist()) == ([3, 1, 2], [0, 1, 3])
    assert list(text_lists(dataset, "text", size=1)) == [["z"], ["x"]]
