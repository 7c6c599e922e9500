import bz2
import gzip
import lzma
import zipfile
from pathlib import Path
from typing import Any

import datasets
import pytest

from hf_mtl.data.csv_source import Loaded
from hf_mtl.data.sources import load_source
from hf_mtl.errors import DataError
from hf_mtl.tasks import DatasetSource

LINES = 'text,label\n007,None\nNA,null\n"b\nc",nan\n"say ""hi""",\n'
ROWS = {"text": ["007", "NA", "b\nc", 'say "hi"'], "label": ["None", "null", "nan", None]}
TABS = LINES.replace(",", "\t")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def load(path: Path | str, **options: Any) -> Loaded:
    return load_source(DatasetSource(path=str(path), **options), "tasks.a.dataset")


def rows(path: Path | str, **options: Any) -> dict[str, list]:
    return load(path, **options).splits["train"][:]


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def message(path: Path | str, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(path, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", LINES.encode()),
        ("a.csv", b"\xef\xbb\xbf" + LINES.encode()),
        ("a.csv", LINES.replace("\n", "\r\n").replace("b\r\nc", "b\nc").encode()),
        ("a.tsv", TABS.encode()),
        ("a.csv.gz", gzip.compress(LINES.encode())),
        ("a.tsv.gz", gzip.compress(TABS.encode())),
        ("a.csv.bz2", bz2.compress(LINES.encode())),
        ("a.csv.xz", lzma.compress(LINES.encode())),
    ],
    # What a compressed file holds depends on the second, and processes of the tests must agree on names.
    ids=["plain", "bom", "crlf", "tsv", "gz", "tsv.gz", "bz2", "xz"],
)
def test_every_field_is_kept_as_it_is_spelled(tmp_path: Path, name: str, content: bytes) -> None:
    path = write(tmp_path / name, content)
    assert rows(path) == ROWS
    assert rows("csv", data_files=str(path)) == ROWS


def test_archives_and_folders_are_read_by_the_same_reader(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("one.tsv", TABS)
        archive.writestr("two.csv", LINES)
    assert rows("csv", data_files=str(tmp_path / "a.zip"))["text"] == ROWS["text"] * 2
    write(tmp_path / "folder" / "train.csv", LINES)
    write(tmp_path / "folder" / "dev.csv", LINES)
    loaded = load(tmp_path / "folder")
    assert [part[:] for part in loaded.splits.values()] == [ROWS, ROWS]
    assert loaded.spelled
    write(tmp_path / "tabs" / "train.tsv", TABS)
    assert rows(tmp_path / "tabs") == ROWS


def test_a_folder_says_how_its_files_are_written(tmp_path: Path) -> None:
    options = "configs:\n- config_name: default\n  data_files: rows.csv\n  sep: ';'\n  names: [text, label]\n"
    write(tmp_path / "README.md", f"---\n{options}---\n")
    write(tmp_path / "rows.csv", "007;None\n1;NA\n")
    datasets.load_dataset(str(tmp_path))  # what pandas made of it is not taken from the cache
    assert rows(tmp_path) == {"text": ["007", "1"], "label": ["None", "NA"]}


def test_a_folder_that_declares_its_classes_has_them(tmp_path: Path) -> None:
    features = (
        "- {name: text, dtype: string}\n  - {name: label, dtype: {class_label: {names: {'0': None, '1': NA}}}}\n"
    )
    write(tmp_path / "README.md", f"---\ndataset_info:\n  features:\n  {features}---\n")
    write(tmp_path / "rows.csv", "text,label\n007,NA\n8,None\n9,1\n")
    train = load(tmp_path).splits["train"]
    assert train[:] == {"text": ["007", "8", "9"], "label": [1, 0, 1]}
    assert train.features["label"].names == ["None", "NA"]


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("text;label\na,b;1\n", {"sep": ";"}, {"text": ["a,b"], "label": ["1"]}),
        ("text\tlabel\na,b\t1\n", {"sep": "\\t"}, {"text": ["a,b"], "label": ["1"]}),
        ('text,label\n"a,1\nb"c,2\n', {"quoting": "none"}, {"text": ['"a', 'b"c'], "label": ["1", "2"]}),
        ("a,1\nb,2\n", {"header": ["text", "label"]}, {"text": ["a", "b"], "label": ["1", "2"]}),
        ("a,1\nb,2\n", {"header": False}, {"0": ["a", "b"], "1": ["1", "2"]}),
        ("text,label\né,1\n".encode("cp1252"), {"encoding": "cp1252"}, {"text": ["é"], "label": ["1"]}),
        ("text,label\né,1\n".encode("utf-16"), {"encoding": "utf-16"}, {"text": ["é"], "label": ["1"]}),
        ("text,label\n\na,1\n   \nb,2\n", {}, {"text": ["a", "b"], "label": ["1", "2"]}),
        (",text\n0,a\n", {}, {"Unnamed: 0": ["0"], "text": ["a"]}),
        ("text,text\na,b\n", {}, {"text": ["a"], "text (column 2)": ["b"]}),
    ],
)
def test_options_say_how_a_file_is_written(tmp_path: Path, content: Any, options: dict, expected: dict) -> None:
    assert rows(write(tmp_path / "a.csv", content), **options) == expected


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("text;label\na;1\n", {}, [".sep: '", "has the one column 'text;label'", 'by a semicolon: set sep: ";"']),
        ("text\tlabel\na\t1\n", {}, [".sep: '", 'set sep: "\\t"']),
        ("text,label\na,1\n", {"sep": "|"}, ["read with a bar between fields", 'set sep: ","']),
        (b"text,label\na,1\n\xe9,2\n", {}, [".encoding: '", "is not utf-8: line 3 holds the byte 0xe9"]),
        ("text,label\na,1\né,2\n", {"encoding": "ascii"}, [".encoding: '"]),
        ("text,label\né,1\n", {"encoding": "latin-1"}, [".encoding: '", "is UTF-8", "Leave encoding out."]),
        ("text,label\né,1\n".encode("utf-16"), {}, [".encoding: '", "Set encoding: utf-16."]),
        ("text,label\nx, y,1\nb,2\nc\n", {}, [
            "has 2 columns, and 2 rows have another number of fields: line 2, 'x, y,1' has 3; line 4, 'c' has 1. "
            "Put a field that holds a comma in double quotes."]),
        ("a,1,x\nb,2,y\n", {"header": ["text", "label"]}, [
            ".header: names 2: text, label; and no row of '", "The first has 3: 'a,1,x'. Name each field."]),
        ("a;1\nb;2\n", {"header": ["text", "label"]}, ["has the one column 'a;1'", 'set sep: ";"']),
        ("a,1,x\nb,2\n", {"header": ["text", "label"]}, ["1 row has another number of fields: line 1, 'a,1,x'"]),
        ('text,label\n"a,1\nb,2\n', {}, ["line 2, ", "or set quoting: none if quotation marks are text"]),
        ('text\na\n"b\nc\nd\n', {}, [".quoting: '", "has a quotation mark on line 3, which is never closed"]),
        ('text,label\na,1\nb,"2', {}, [".quoting: '", "has a quotation mark on line 3, which is never closed"]),
        ("", {}, ["has no rows"]),
    ],
)  # fmt: skip
def test_a_file_that_is_written_otherwise_is_refused(
    tmp_path: Path, content: str | bytes, options: dict, words: list[str]
) -> None:
    path = write(tmp_path / "a.csv", content)
    text = message(path, **options)
    assert text.startswith("tasks.a.dataset")
    assert all(part in text for part in [*words, str(path)])


@pytest.mark.parametrize("name", ["train[clean].csv", "what?.csv", "all*.csv"])
def test_a_file_is_no_pattern_where_it_is_called_so(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, LINES)
    write(tmp_path / "all of it.csv", LINES)
    assert rows(path) == ROWS
    assert rows("csv", data_files=str(path)) == ROWS


def test_files_of_one_split_have_the_same_columns(tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", "text,label\na,1\n")
    two = write(tmp_path / "two.csv", "label,text\n2,b\n")
    assert rows("csv", data_files=[str(one), str(two)]) == {"text": ["a", "b"], "label": ["1", "2"]}
    three = write(tmp_path / "three.csv", "text,lable\na,1\n")
    text = message("csv", data_files=[str(one), str(three)])
    assert f"'{one}' has the columns text, label, and '{three}' has text, lable" in text


def test_other_formats_refuse_options_of_csv_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a", "label": 1}\n')
    assert "tasks.a.dataset.sep: " in message(path, sep=";")
    text = message("json", data_files=str(path), encoding="utf-8", header=True)
    assert "tasks.a.dataset.encoding: 'json' is read as another format. It is an option of csv files." in text
    assert "tasks.a.dataset.header: " in text
    assert "tasks.a.dataset.quoting: " in message("hf_mtl/support_desk", name="topic", quoting="none")


def test_a_long_field_is_read_and_one_that_has_no_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hf_mtl.data.csv_reader._BLOCK_BYTES", 1 << 16)
    long = "x" * 60_000
    assert rows(write(tmp_path / "a.csv", f"text,label\na,1\n{long},2\n"))["text"][1] == long
    lines = "".join(f"row {index},1\n" for index in range(20_000))
    text = message(write(tmp_path / "b.csv", f'text,label\n"{lines}'))
    assert "tasks.a.dataset.quoting: " in text
    assert "set quoting: none" in text
