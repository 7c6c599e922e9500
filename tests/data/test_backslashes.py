import gzip
from pathlib import Path
from typing import Any

import datasets
import pytest

from hf_mtl import SequenceClassification
from hf_mtl.data.backslashes import escaped_marks
from hf_mtl.data.load import load_task
from hf_mtl.data.sources import load_source
from hf_mtl.tasks import DatasetSource

PLAIN = "".join(f"words {index},{'high' if index % 2 else 'low'}\n" for index in range(20))
ESCAPED = r'"he said \"hi\" ok",low' + "\n"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def notes(path: Path, rows: str, **options: Any) -> list[str]:
    text = f"text,label\n{PLAIN}{rows}".encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    source = DatasetSource(path=str(path), **options)
    loaded = load_source(source)
    return escaped_marks("t", loaded.splits, source, loaded.files)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_marks_that_a_backslash_escapes_are_counted_and_located(tmp_path: Path, name: str) -> None:
    (note,) = notes(tmp_path / name, ESCAPED + "plain,high\n" + ESCAPED)
    assert f"t: train has 2 lines with \\\" inside a text (the first is line 22 of '{tmp_path / name}')" in note
    assert 'write the marks twice ("")' in note


@pytest.mark.parametrize(
    "row",
    [
        r"he said \"hi\" ok,low",  # no field in marks: they are text, as they are written
        r'"C:\dir\",low',  # the mark ends the field
        r'"a\"" b",low',  # a backslash, and one mark written twice
        r'"back\slash",low',
        '"he said ""hi""",low',
    ],
)
def test_what_is_read_as_it_is_meant_is_fine(tmp_path: Path, row: str) -> None:
    assert notes(tmp_path / "a.csv", f"{row}\n") == []


def test_without_quoting_a_mark_is_text(tmp_path: Path) -> None:
    assert notes(tmp_path / "a.csv", ESCAPED, quoting="none") == []


def test_a_task_says_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"text,label\n{PLAIN}{ESCAPED}")
    found = load_task("t", SequenceClassification(dataset=DatasetSource(path=str(path))))
    assert any('with \\" inside a text' in note for note in found.notes)
