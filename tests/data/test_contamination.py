"""Rows to score that are trained on are said, refused or taken out of training; never out of what is scored."""

import os
from pathlib import Path
from typing import Any

import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data.load import load_tasks
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.data.overlap import overlap_notes
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource, Task
from tests.data.rows import XY, saved

GLUE = Path(__file__).parents[2] / ".." / "shared" / "data" / "glue"


def two(folder: Path) -> dict[str, Task]:
    """Of `first`, one validation row is trained on by both, and one test row by `second`, which has it twice."""
    first = saved(
        folder,
        "first",
        XY,
        train={"text": ["a", "b", "c"], "label": [0, 1, 0]},
        validation={"text": ["B!", "new"], "label": [0, 1]},
        test={"text": ["z", "new"], "label": [0, 1]},
    )
    second = saved(
        folder,
        "second",
        XY,
        train={"text": ["z", "b", "y", "Z"], "label": [1, 0, 0, 1]},
        validation={"text": ["v"], "label": [0]},
    )
    return {"first": SequenceClassification(dataset=first), "second": SequenceClassification(dataset=second)}


def found(loaded: dict[str, LoadedTask]) -> list[tuple[Any, ...]]:
    every = [item for task in loaded.values() for item in task.overlaps]
    return [(item.task, item.split, item.found, item.trained, item.trained_rows, item.dropped) for item in every]


PAIRS = [
    ("first", "validation", 1, "first", 1),
    ("first", "validation", 1, "second", 1),
    ("first", "test", 1, "second", 2),
]


def test_what_is_found_is_counted_by_split_and_training_task(tmp_path: Path) -> None:
    loaded = load_tasks(two(tmp_path))
    assert found(loaded) == [(*pair, False) for pair in PAIRS]
    assert loaded["second"].splits["train"]["text"][:] == ["z", "b", "y", "Z"]


def test_rows_that_are_dropped_leave_training_alone_and_everything_knows(tmp_path: Path) -> None:
    tasks = two(tmp_path)
    before, loaded = load_tasks(tasks), load_tasks(tasks, contamination="drop")
    assert found(loaded) == [(*pair, True) for pair in PAIRS]
    assert loaded["first"].splits["train"]["text"][:] == ["a", "c"]
    assert loaded["second"].splits["train"]["text"][:] == ["y"]
    for name, item in loaded.items():
        rows = len(item.splits["train"])
        assert len(item.keys["train"].rows) == len(item.labels["train"].values) == rows
        assert item.fingerprints["train"].rows == rows
        assert item.fingerprints["train"].content != before[name].fingerprints["train"].content
        for split in set(item.splits) - {"train"}:
            assert item.splits[split]["text"][:] == before[name].splits[split]["text"][:]
            assert item.fingerprints[split] == before[name].fingerprints[split]
    assert not any(item.overlaps for item in load_tasks(tasks, contamination="off").values())


def test_rows_are_dropped_as_beside_a_task_that_is_not_loaded(tmp_path: Path) -> None:
    tasks = two(tmp_path)
    alone, beside = {"second": tasks["second"]}, {"first": tasks["first"]}
    loaded = load_tasks(alone, contamination="drop", beside=beside)
    assert list(loaded) == ["second"]
    assert loaded["second"].splits["train"]["text"][:] == ["y"]
    assert found(loaded) == []
    assert loaded["second"].notes[:2] == [
        "second: 1 training row stands in validation rows of first, which is not trained here, and was taken out.",
        "second: 2 training rows stand in test rows of first, which is not trained here, and were taken out.",
    ]
    # What of its rows to score would stand in rows that nobody trains on here is no matter.
    first = load_tasks(beside, contamination="drop", beside=alone)
    assert [pair[3] for pair in found(first)] == ["first"]
    assert len(load_tasks(alone, beside=beside)["second"].splits["train"]) == 4


def test_classes_that_are_dropped_are_said_to_be_lost(tmp_path: Path) -> None:
    tasks = two(tmp_path)
    assert "first: every train row is of class 'x'; there is nothing to learn." in (
        load_tasks(tasks, contamination="drop")["first"].notes
    )
    assert not any("nothing to learn" in note for note in load_tasks(tasks)["first"].notes)


def test_rows_that_are_both_are_refused_all_at_once_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_tasks(two(tmp_path), contamination="error")
    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "data.contamination: is 'error', and first: 1 of 2 validation rows stands in the training rows of first and "
        "second, such as 'B!'. Set it to drop, which takes these out of training, or to warn",
        "data.contamination: is 'error', and first: 1 of 2 test rows stands in the training rows of second, such as "
        "'z'. Set it to drop, which takes these out of training, or to warn",
    ]
    clean = {"second": two(tmp_path / "clean")["second"]}
    assert found(load_tasks(clean, contamination="error")) == []


def test_a_task_that_would_lose_all_its_training_rows_is_refused(tmp_path: Path) -> None:
    rows = {"text": ["a", "b"], "label": [0, 1]}
    task = SequenceClassification(dataset=saved(tmp_path, "same", XY, train=rows, validation=rows))
    with pytest.raises(DataError) as caught:
        load_tasks({"t": task}, contamination="drop")
    (mistake,) = caught.value.mistakes
    assert str(mistake) == (
        "data.contamination: is 'drop', and rows to score stand in all of the 2 training rows of t. "
        "Give t other training rows, or set it to warn"
    )


@pytest.mark.skipif(not GLUE.exists(), reason="needs the parquet files in ../shared/data")
def test_the_pairs_that_mrpc_and_stsb_share_are_found() -> None:
    kinds: dict[str, Any] = {"mrpc": SequenceClassification, "stsb": Regression}
    tasks = {name: kind(dataset=glue(name), text=["text", "text_pair"]) for name, kind in kinds.items()}
    # The other names and order of a task's columns are no matter.
    tasks["mrpc"] = tasks["mrpc"].model_copy(update={"text": ["text_pair", "text"]})
    loaded = load_tasks(tasks)
    across = {item[:4]: item[4] for item in found(loaded) if item[0] != item[3]}
    assert across == {
        ("mrpc", "validation", 48, "stsb"): 48,
        ("mrpc", "test", 499, "stsb"): 499,
        ("stsb", "validation", 111, "mrpc"): 114,
        ("stsb", "test", 119, "mrpc"): 119,
    }
    assert "; 499 stand in the training rows of stsb, such as " in " ".join(overlap_notes(loaded["mrpc"].overlaps))
    dropped = load_tasks(tasks, contamination="drop")
    assert {name: {split: len(part) for split, part in item.splits.items()} for name, item in dropped.items()} == {
        "mrpc": {"train": 3426, "validation": 408, "test": 1725},
        "stsb": {"train": 5178, "validation": 1500, "test": 1379},
    }


def glue(name: str) -> DatasetSource:
    files: dict[str, str | list[str]] = {
        split: os.fspath((GLUE / name / f"{split}.parquet").resolve()) for split in ("train", "validation", "test")
    }
    return DatasetSource(path="parquet", data_files=files)
