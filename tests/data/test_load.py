"""Tasks loaded whole, and datasets from memory."""

from pathlib import Path

import pytest
from datasets import Dataset

from hf_mtl import SequenceClassification
from hf_mtl.data import load
from hf_mtl.data.load import load_task, prepare_dataset
from tests.data.rows import XY, message, rows, saved

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_clean_dataset_loads_with_only_its_columns_and_without_notes(tmp_path: Path) -> None:
    source = saved(tmp_path, train=rows(["a", "b"]) | {"extra": [1, 2]}, validation=rows(["b"]), test=rows(["a"]))
    loaded = load_task("t", SequenceClassification(dataset=source))
    assert list(loaded.splits) == ["train", "validation", "test"]
    assert loaded.splits["train"][:] == rows(["a", "b"])
    assert (loaded.task.labels, loaded.notes) == (["a", "b"], [])


def test_a_task_without_labels_in_its_recipe_is_resolved_and_one_with_keeps_its_order(tmp_path: Path) -> None:
    source = saved(tmp_path, feature=XY, train=rows([0, 1]), validation=rows([1]))
    assert load_task("t", SequenceClassification(dataset=source)).task.labels == ["x", "y"]
    assert load_task("t", SequenceClassification(dataset=source, labels=["y", "x"])).task.labels == ["y", "x"]


def test_an_in_memory_dataset_gets_the_same_checks(caplog: pytest.LogCaptureFixture) -> None:
    load.logger.warning_once.cache_clear()
    task = SequenceClassification(labels=["a", "b"])
    dataset = Dataset.from_dict(rows(["a", None, "b"]) | {"extra": [1, 2, 3]})
    assert prepare_dataset("t", task, dataset, "train")["label"][:] == ["a", "b"]
    assert "t: 1 of 3 train rows has no label and was dropped." in caplog.text
    text = message(prepare_dataset, "t", task, Dataset.from_dict({"text": ["", "x"], "label": ["a", "c"]}), "train")
    assert "unknown labels 'c'" in text
    assert "empty text" in text
    assert len(prepare_dataset("t", task, Dataset.from_dict(rows(["a"])), "train")) == 1
    assert "t: every train row is of class 'a'; there is nothing to learn." in caplog.text
    assert len(prepare_dataset("t", task, Dataset.from_dict(rows(["a"])), "validation")) == 1
    assert "none of 1 test row has a label" in message(
        prepare_dataset, "t", task, Dataset.from_dict(rows([None])), "test"
    )
    text = message(prepare_dataset, "t", task, Dataset.from_dict({"txt": []}), "train")
    assert "no column 'text' in train. Columns: txt. Did you mean 'txt'?" in text
    assert "no column 'label'" in text
    assert "train has no rows" in text
    assert "the train data is a list" in message(prepare_dataset, "t", task, [1], "train")


def test_labels_are_not_needed_for_prediction() -> None:
    task = SequenceClassification(labels=["a", "b"])
    dataset = Dataset.from_dict({"text": ["x"], "more": [1]})
    assert prepare_dataset("t", task, dataset, "test", labelled=False).column_names == ["text"]
    assert "empty text" in message(prepare_dataset, "t", task, Dataset.from_dict({"text": [" "]}), "test", False)
