"""Checks that are not done again."""

import gc
from pathlib import Path

import pytest
from datasets import Dataset

from hf_mtl import SequenceClassification
from hf_mtl.data import checked, load
from hf_mtl.data.load import load_tasks
from hf_mtl.tasks import DatasetSource

pytestmark = pytest.mark.usefixtures("own_cache")


def test_what_was_loaded_is_not_checked_again_and_is_forgotten_with_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"text": [f"text {index}" for index in range(50)], "label": ["x", "y"] * 25}
    Dataset.from_dict(rows).to_csv(str(tmp_path / "a.csv"))
    source = DatasetSource(path="csv", data_files=str(tmp_path / "a.csv"))
    found = load_tasks({"t": SequenceClassification(dataset=source)})["t"]
    train, before = found.splits["train"], len(checked._found)
    monkeypatch.setattr(load, "check_rows", None)
    kept = load.prepare_rows("t", found.task, train, "train")
    assert len(kept.labels.values) == len(train) < 50
    del found, train, kept
    gc.collect()
    assert len(checked._found) == before - 2
