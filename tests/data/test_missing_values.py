"""Spellings that a recipe calls missing values of a csv file."""

from pathlib import Path

import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.data.load import load_task
from hf_mtl.data.sources import load_source
from hf_mtl.data.stream_names import source_of
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource

pytestmark = pytest.mark.usefixtures("own_cache")
LINES = "text,score,kind\na b,0.5,x\nn/a,n/a,y\nc d, - ,n/a\ne f,1.5,x\ng h,,y\n"


def source(folder: Path, **options: object) -> DatasetSource:
    (folder / "a.csv").write_text(LINES)
    files = {"train": str(folder / "a.csv"), "validation": str(folder / "a.csv")}
    return DatasetSource.model_validate({"path": "csv", "data_files": files, **options})


def test_a_value_that_is_called_missing_is_none_in_its_column_alone(tmp_path: Path) -> None:
    loaded = load_source(source(tmp_path, missing={"score": ["n/a", "-", "NA"]}))
    assert loaded.splits["train"][:] == {
        "text": ["a b", "n/a", "c d", "e f", "g h"],
        "score": ["0.5", None, None, "1.5", None],
        "kind": ["x", "y", "n/a", "x", "y"],
    }
    assert loaded.notes == (
        "No row has the value 'NA' that 'score' may be missing by.",
        "Missing values of 'score': 'n/a' in 2 rows, '-' in 2 rows.",
    )


def test_rows_whose_label_is_missing_are_left_out_and_the_others_are_numbers(tmp_path: Path) -> None:
    task = Regression(dataset=source(tmp_path, missing={"score": ["n/a", "-"]}, rename={"score": "y"}), label="y")
    loaded = load_task("t", task)
    assert loaded.splits["train"]["y"][:] == [0.5, 1.5]
    assert "t: 3 of 5 train rows have no label and were dropped." in loaded.notes
    classes = SequenceClassification(dataset=source(tmp_path, missing={"kind": ["n/a"]}), label="kind")
    assert load_task("t", classes).task.labels == ["x", "y"]


def test_a_column_that_is_not_there_and_another_format_are_mistakes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset.missing.scor: no column 'scor'. .* Did you mean 'score'"):
        load_source(source(tmp_path, missing={"scor": ["n/a"]}))
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(DataError, match=r"dataset.missing: .* It is an option of csv files"):
        load_source(DatasetSource(path=str(tmp_path / "a.jsonl"), missing={"score": ["n/a"]}))


def test_tasks_whose_labels_are_missing_by_other_words_read_the_same_texts(tmp_path: Path) -> None:
    tasks = [Regression(dataset=source(tmp_path, missing={"score": words})) for words in (["-"], ["n/a"])]
    assert source_of(tasks[0]) == source_of(tasks[1])


def test_blanks_around_a_spelling_are_no_part_of_it(tmp_path: Path) -> None:
    loaded = load_source(source(tmp_path, missing={"score": [" n/a ", "-\t"]}))
    assert loaded.splits["train"]["score"][:] == ["0.5", None, None, "1.5", None]
    assert loaded.notes == ("Missing values of 'score': 'n/a' in 2 rows, '-' in 2 rows.",)
