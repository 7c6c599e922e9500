"""Mistakes in files name lines; where lines cannot be told for sure, rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hf_mtl import Regression
from hf_mtl.data.load import load_task
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource
from tests.training import runs


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    with runs.own_cache(tmp_path):
        yield tmp_path


def refusal(*sources: dict[str, Any]) -> str:
    task = Regression(dataset=[DatasetSource(**source) for source in sources])
    with pytest.raises(DataError) as caught:
        load_task("t", task)
    return str(caught.value)


def write(name: str, text: str) -> dict[str, Any]:
    Path(name).write_text(text)
    return {"path": "csv", "data_files": name}


HEAD, GOOD = "text,label\n", "fine,1\n"


def test_the_header_blank_lines_and_fields_of_several_lines_are_counted() -> None:
    source = write("a.csv", f'{HEAD}{GOOD}\n"two\nlines",2\n"",3\n{GOOD} ,4\n')
    assert "empty text in column 'text': lines 6 and 8 of 'a.csv'." in refusal(source)


def test_a_row_of_empty_fields_is_a_row() -> None:
    assert "line 4 of 'a.csv'" in refusal(write("a.csv", f"{HEAD}{GOOD},\n ,5\n{GOOD}"))


def test_a_file_without_a_header_or_with_quotes_as_text() -> None:
    source = write("a.csv", f'fine,1\na "b,2\n ,3\n{GOOD}')
    options = {"header": ["text", "label"], "quoting": "none"}
    assert "line 3 of 'a.csv'" in refusal({**source, **options})


def test_filters_and_several_files_leave_the_lines_as_they_are() -> None:
    first = write("a.csv", f"{HEAD}{GOOD}x,9\n ,3\n{GOOD}")
    second = write("b.csv", f"{HEAD}{GOOD} ,4\n ,5\n")
    text = refusal({**first, "filter": {"column": "label", "one_of": [1, 3]}}, second)
    assert "line 4 of 'a.csv', lines 3 and 4 of 'b.csv'." in text
    assert "counted" not in text


def test_lines_of_json(folder: Path) -> None:
    rows = '{"text": "a", "label": 1}\n\n{"text": " ", "label": 2}\n'
    (folder / "a.jsonl").write_text(rows)
    assert "line 3 of 'a.jsonl'" in refusal({"path": "json", "data_files": "a.jsonl"})
    (folder / "b.json").write_text('[{"text": "a", "label": 1},\n\n {"text": "", "label": 2}]')
    assert "row 1, counted from 0" in refusal({"path": "json", "data_files": "b.json"})


def test_of_many_rows_the_first_are_named() -> None:
    source = write("a.csv", HEAD + GOOD + " ,1\n" * 8)
    assert "lines 3, 4, 5, 6 and 7 of 'a.csv' and 3 more." in refusal(source)
