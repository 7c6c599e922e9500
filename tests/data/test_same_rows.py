"""Processes that were given other rows than the first one."""

import pytest
from datasets import Dataset

from hf_mtl.data.same_rows import other_rows, other_tasks, signs_of
from tests import tiny


def test_other_tasks_of_a_process_are_refused() -> None:
    error = other_tasks({"a": "x", "b": "y"}, {"a": "x", "b": "z", "c": "y"})
    assert error is not None
    assert [mistake.key for mistake in error.mistakes] == ["tasks.b", "tasks.c"]
    assert other_tasks({"a": "x"}, {"a": "x"}) is None


def test_other_rows_of_a_process_are_refused() -> None:
    error = other_rows({"a": (3, "x"), "b": (2, "y")}, {"a": (3, "z"), "b": (2, "y")}, "train")
    assert "tasks.a: the train rows differ from process to process. Give all rows" in str(error)
    assert other_rows({"a": (3, "x")}, {"a": (3, "x")}, "train") is None


def test_signs_are_the_same_for_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_mtl.data.same_rows.is_grouped", lambda: True)
    rows = tiny.rows("topic", 30)
    again = Dataset.from_dict(rows.to_dict())
    tasks = {"topic": tiny.TASKS["topic"]}
    assert signs_of(rows, tasks) == signs_of({"topic": again, "other": None}, tasks) != {}
    assert signs_of(rows.shard(2, 0), tasks) != signs_of(rows.shard(2, 1), tasks)
    assert signs_of({"topic": rows.select([])}, tasks) == {"topic": (0, "")}
    assert signs_of([rows], tasks) == {}
