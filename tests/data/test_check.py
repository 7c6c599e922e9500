"""Mistakes in the rows of a task, all in one message."""

from pathlib import Path

import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data.load import load_task, load_tasks
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource
from tests.data.rows import message, rows, saved

pytestmark = pytest.mark.usefixtures("own_cache")


def test_every_mistake_of_every_split_and_task_is_reported_at_once(tmp_path: Path) -> None:
    train = {"text": ["fine", " ", "", "fine"], "label": [0, 1, 5, 0]}
    first = saved(tmp_path, "one", train=train, validation=rows([9]))
    second = saved(tmp_path, "two", train=rows([0.5, float("nan")]), validation=rows([float("inf")]))
    third = saved(tmp_path, "three", train=rows([0, 1], text="sentence"))
    tasks = {
        "one": SequenceClassification(dataset=first, labels=3),
        "two": Regression(dataset=second),
        "three": SequenceClassification(dataset=third, label="lable"),
        "four": SequenceClassification(dataset=DatasetSource(path=str(tmp_path / "no.csv"))),
        "five": SequenceClassification(),
    }
    with pytest.raises(DataError) as caught:
        load_tasks(tasks)
    text = str(caught.value)
    for words in (
        "tasks.one.label: train has 1 row with labels outside 0..2: 5 (row 2",
        "tasks.one.text: train has 2 rows with empty text in column 'text': rows 1 and 2",
        "tasks.one.label: validation has 1 row with labels outside 0..2: 9",
        "tasks.two.label: train has 1 NaN target",
        "tasks.two.label: validation has 1 infinite target",
        "tasks.three.text: no column 'text' in train. Columns: label, sentence.",
        "tasks.three.label: no column 'lable' in train. Columns: label, sentence. Did you mean 'label'?",
        "tasks.four.dataset: no file or folder",
        "tasks.five.dataset: no dataset",
    ):
        assert words in text
    assert len(caught.value.mistakes) == 9


@pytest.mark.parametrize(("train", "validation"), [(["a", "b"], ["A", "B"]), ([0, 1], [2, 3]), ([0, 1], [0, 7])])
def test_a_split_whose_labels_mean_something_else_is_a_mistake(tmp_path: Path, train: list, validation: list) -> None:
    source = saved(tmp_path, train=rows(train), validation=rows(validation))
    text = message(load_task, "t", SequenceClassification(dataset=source))
    assert "tasks.t.label: validation has" in text
    assert "unknown labels" in text or "with labels outside 0..1" in text


def test_texts_of_another_type_and_missing_ones_are_mistakes(tmp_path: Path) -> None:
    source = saved(tmp_path, train={"text": [1, 2], "other": ["a", None], "label": [0, 1]})
    text = message(load_task, "t", SequenceClassification(dataset=source, text=["text", "other"]))
    assert "tasks.t.text: train column 'text' holds int64, not strings" in text
    assert "train has 1 row with empty text in column 'other': row 1" in text


def test_texts_that_json_takes_for_dates_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "2024-01-01", "label": 0}\n' * 4)
    text = message(
        load_task, "t", SequenceClassification(dataset=DatasetSource(path=str(tmp_path / "a.jsonl")), labels=2)
    )
    assert "tasks.t.text: train column 'text' holds timestamp[s], dates (as files of JSON give texts that" in text


def test_unknown_classes_do_not_hide_empty_texts(tmp_path: Path) -> None:
    source = saved(tmp_path, train={"text": ["", "b"], "label": [3, 7]})
    text = message(load_task, "t", SequenceClassification(dataset=source))
    assert "cannot tell the classes" in text
    assert "empty text" in text
