import gzip
from pathlib import Path

import datasets
import pytest

from hf_mtl.data.sources import load_source
from hf_mtl.data.swallowed import swallowed_rows
from hf_mtl.tasks import DatasetSource

PLAIN = "".join(f"words {index},{'high' if index % 2 else 'low'}\n" for index in range(20))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def notes(path: Path, text: str) -> list[str]:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    source = DatasetSource(path=str(path))
    loaded = load_source(source)
    return swallowed_rows("t", loaded.splits, source, loaded.files)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_rows_between_two_stray_quotes_are_counted_and_located(tmp_path: Path, name: str) -> None:
    lines = PLAIN.splitlines(keepends=True)
    text = "text,label\n\n" + "".join(lines[:5]) + '"' + "".join(lines[5:9]) + lines[9][:5] + '"' + "".join(lines[9:])
    (note,) = notes(tmp_path / name, text)
    assert "t: train has 16 rows of 20 lines, and 1 field holds lines that look like rows of their own" in note
    assert f"(lines 8 to 12 of '{tmp_path / name}', in column 'text', which begins 'words 5,high')" in note
    assert "set quoting: none" in note


@pytest.mark.parametrize(
    "rows",
    [
        '"one,low\ntwo",high\n',  # a line that ends with a label
        'one,"low\ntwo,high"\n',
        '"a,b,\nc, d\ne, f\ng, h\ni",low\n',  # lines with as many fields as a row
    ],
)
def test_a_field_that_looks_like_rows_is_suspicious(tmp_path: Path, rows: str) -> None:
    assert len(notes(tmp_path / "a.csv", f"text,label\n{PLAIN}{rows}")) == 1


def test_texts_may_hold_lines(tmp_path: Path) -> None:
    letters = '"Dear all,\n\nI came, saw and left.\nYours, A",low\n"x\ny",high\n"low, or high?\nhigh",low\n'
    assert notes(tmp_path / "a.csv", f"text,label\n{PLAIN}{letters}") == []


def test_the_first_of_two_columns_may_be_the_label(tmp_path: Path) -> None:
    swapped = "".join(",".join(reversed(line.split(","))) + "\n" for line in PLAIN.splitlines())
    assert notes(tmp_path / "a.csv", f"label,text\n{swapped}") == []
    assert len(notes(tmp_path / "b.csv", f'label,text\n{swapped}low,"one\nhigh,two"\n')) == 1
