"""Rows on the disk for the tests of loading, and the message of a refusal."""

from pathlib import Path

import datasets
import pytest
from datasets import Dataset

from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource

XY = datasets.ClassLabel(names=["x", "y"])


def saved(folder: Path, name: str = "data", feature: object = None, **splits: dict[str, list]) -> DatasetSource:
    parts = {}
    for split, columns in splits.items():
        parts[split] = Dataset.from_dict(columns)
        if feature is not None:
            parts[split] = parts[split].cast_column("label", feature)
    datasets.DatasetDict(parts).save_to_disk(str(folder / name))
    return DatasetSource(path=str(folder / name))


def rows(labels: list, text: str = "text") -> dict[str, list]:
    return {text: [f"words {index}" for index in range(len(labels))], "label": labels}


def message(call: object, *args: object) -> str:
    with pytest.raises(DataError) as caught:
        call(*args)
    return str(caught.value)


def source_texts(count: int) -> list[str]:
    return rows([0] * count)["text"]
