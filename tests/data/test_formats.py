"""Datasets in any format, and under a transform, hold the rows that they are made of."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, IterableDataset, Value

from hf_mtl.data.formats import no_dataset, plain_rows
from hf_mtl.errors import DataError

FEATURES = Features({"text": Value("string"), "label": ClassLabel(names=["low", "high"])})
ROWS = Dataset.from_dict({"text": ["A", "B", "C"], "label": [1, 0, 1]}, features=FEATURES)


@pytest.mark.parametrize("kind", ["arrow", "numpy", "torch", "pandas"])
def test_a_format_changes_no_row(kind: str) -> None:
    for rows in (ROWS, ROWS.select([2, 0])):
        found = plain_rows(rows.with_format(kind, columns=["label"]), "topic", "train")
        assert found.to_dict() == rows.to_dict()
        assert found.features == FEATURES


def test_rows_without_a_format_are_taken_as_they_are() -> None:
    assert plain_rows(ROWS, "topic", "train") is ROWS


def test_a_transform_is_called_once_and_class_names_stay() -> None:
    calls = []

    def lower(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        calls.extend(batch["text"])
        return {"text": [text.lower() for text in batch["text"]], "label": batch["label"]}

    found = plain_rows(ROWS.select([2, 0]).with_transform(lower), "topic", "train")
    assert found.to_dict() == {"text": ["c", "a"], "label": [1, 1]}
    assert found.features["label"] == FEATURES["label"]
    assert plain_rows(found, "topic", "train") is found
    assert calls == ["C", "A"]


def test_columns_beside_a_transform_come_along_where_it_was_asked_for() -> None:
    tokenised = ROWS.with_transform(
        lambda batch: {"input_ids": [[ord(text)] for text in batch["text"]]},
        columns=["text"],
        output_all_columns=True,
    )
    found = plain_rows(tokenised, "topic", "train")
    assert found.to_dict() == {"input_ids": [[65], [66], [67]], "label": [1, 0, 1]}


FAULTS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda batch: {"text": batch["words"]}, "the transform of the train data fails with KeyError: 'words'"),
    (lambda batch: {"text": batch["text"][:1]}, "the transform of the train data makes 1 rows of 3"),
]


@pytest.mark.parametrize(("transform", "said"), FAULTS)
def test_a_transform_that_cannot_be_used_is_named(transform: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(DataError, match=r"^tasks\.topic: ") as caught:
        plain_rows(ROWS.with_transform(transform), "topic", "train")
    assert caught.value.mistakes[0].problem == said


class OfTorch:
    """Rows as torch's data loaders take them."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, row: int) -> dict[str, Any]:
        return dict(ROWS[row])


WAYS: list[tuple[Any, str]] = [
    (ROWS.to_iterable_dataset(), "Dataset.from_generator(lambda: iter(data))"),
    (ROWS.to_list(), "Dataset.from_list(data)"),
    (ROWS.to_dict(), "Dataset.from_dict(data)"),
    (pd.DataFrame(ROWS.to_dict()), "Dataset.from_pandas(data)"),
    (OfTorch(), "Dataset.from_list([data[row] for row in range(len(data))])"),
]


@pytest.mark.parametrize(("data", "way"), WAYS)
def test_what_is_no_dataset_is_told_how_to_become_one(data: Any, way: str) -> None:
    remedy = no_dataset(data, "topic", "train").remedy
    assert way in remedy
    assert ("planned over all rows" in remedy) == isinstance(data, IterableDataset)
    if not isinstance(data, IterableDataset):  # which is written to a cache
        assert eval(way, {"Dataset": Dataset, "data": data}).to_dict() == ROWS.to_dict()


def test_what_nothing_can_be_made_of_is_only_refused() -> None:
    for data in ("rows.csv", None, 3):
        assert no_dataset(data, "topic", "train").remedy == "Give a datasets.Dataset"
    assert no_dataset(DatasetDict(train=ROWS), "topic", "train").remedy == "Give one of its splits: train"


def test_the_way_from_a_stream_gives_the_same_rows(tmp_path: Any) -> None:
    data = ROWS.to_iterable_dataset()
    made = Dataset.from_generator(lambda: iter(data), cache_dir=str(tmp_path))
    assert made.to_dict() == ROWS.to_dict() == Dataset.from_list([*data.take(3)]).to_dict()
