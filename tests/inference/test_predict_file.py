"""Files of rows: every format, rows that cannot be read, interruptions, and what is refused before any work."""

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from hf_mtl import MultipleChoice, MultiTaskModel, SequenceClassification, TokenClassification
from hf_mtl.errors import Interrupted, UserError
from hf_mtl.inference import row_source
from hf_mtl.inference.asked_chunks import AskedChunks, FileOptions
from hf_mtl.inference.predict_file import Summary, predict_file
from tests import tiny
from tests.close import close

TEXTS = tiny.rows("mood", 30, seed=5)["text"][:]
ROWS = [{"text": text, "n": place} for place, text in enumerate(TEXTS)]
FORMATS = ("csv", "jsonl", "parquet")
Predict = Callable[..., Summary]


@pytest.fixture(scope="module")
def model() -> MultiTaskModel:
    found = tiny.model()
    found.set_statistics("score", mean=[10.0, -5.0], std=[2.0, 3.0])
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the rows in every format; chunks are of eight rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(row_source, "ROWS", 8)
    monkeypatch.setattr(row_source, "_PIECE", 4)
    write(tmp_path / "rows.csv", ROWS)
    write(tmp_path / "rows.jsonl", ROWS)
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    return tmp_path


@pytest.fixture
def predict(model: MultiTaskModel) -> Predict:
    def run(source: str, output: str | None, on_rows: Any = lambda rows, total: None, **options: Any) -> Summary:
        return predict_file(model, tiny.tokenizer(), source, output, FileOptions(**options), on_rows=on_rows)

    return run


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read(path: str) -> list[dict[str, Any]]:
    """The rows of a file; numbers of csv as numbers, and its empty fields as None."""
    if path.endswith(".parquet"):
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return found
    text = Path(path).read_text()
    if path.endswith(".jsonl"):
        return [json.loads(line) for line in text.split("\n")[:-1]]
    return [{key: _typed(key, value) for key, value in row.items()} for row in csv.DictReader(text.splitlines())]


def _typed(key: str, value: str) -> Any:
    return None if value == "" else float(value) if key.split(".")[-1] in ("score", "x", "y") else value


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """What Python predicts for a row, as the columns of a file."""
    topic, mood, (x, y) = row["topic"], row["mood"], row["score"]
    return {
        **{f"topic.{key}": value for key, value in topic.items()},
        **{f"mood.{key}": value for key, value in mood.items()},
        **{"score.x": x["value"], "score.y": y["value"], "error": None},
    }


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_every_format_has_all_rows_in_their_order(
    source: str, output: str, folder: Path, predict: Predict, model: MultiTaskModel
) -> None:
    summary = predict(f"rows.{source}", f"out.{output}")
    assert (summary.rows, summary.failed) == (30, 0)
    expected = [flat(row) for row in model.predict(TEXTS, processing_class=tiny.tokenizer())]
    found = read(f"out.{output}")
    assert [(row.pop("text"), int(row.pop("n"))) for row in found] == [(row["text"], row["n"]) for row in ROWS]
    assert found == close(expected)
    assert sorted(path.name for path in folder.iterdir() if "partial" in path.name) == []


def test_rows_that_cannot_be_read_are_marked_in_their_places(folder: Path, predict: Predict) -> None:
    odd: list[Any] = [*ROWS[:3], {"text": "", "n": 3}, {"text": 5}, {"n": 4}, {"text": "  "}, *ROWS[3:6]]
    lines = [json.dumps(row) for row in odd]
    lines[5:5] = ["{", "[1]", ""]  # a blank line is no row
    (folder / "odd.jsonl").write_text("\n".join(lines))
    summary = predict("odd.jsonl", "out.jsonl", tasks=["mood"])
    found = read("out.jsonl")
    assert [row["error"] is None for row in found] == [True] * 3 + [False] * 6 + [True] * 3
    said = [row["error"] for row in found[3:9]]
    assert said[:2] == ["no text in 'text'", "'text' holds a number, not a text"]
    assert said[2].startswith("line 6 is no JSON: ")
    assert said[3:] == ["line 7 is no JSON object", "no text in 'text'", "no text in 'text'"]
    assert all(row["mood.label"] is None and row["mood.score"] is None for row in found[3:9])
    assert (summary.rows, summary.failed) == (12, 6)
    good = read("out.jsonl")[:3]
    predict("rows.jsonl", "whole.jsonl", tasks=["mood"])
    assert good == close([{**row} for row in read("whole.jsonl")[:3]])


def test_a_csv_row_of_another_number_of_fields_is_marked(folder: Path, predict: Predict) -> None:
    (folder / "odd.csv").write_text('text,n\nw1,1\n\nw2\n"w3\nw4",3\nw5,4,5\n"w6,1\nw7,2\n"w8",5,6\n')
    predict("odd.csv", "out.csv", tasks=["mood"])
    with Path("out.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["error"] for row in found] == [
        "",
        "line 4 has 1 field, and there are 2 columns",
        "",
        "line 7 has 3 fields, and there are 2 columns",
        "lines 8 to 10 are one row, which has 3 fields, and there are 2 columns; if quotation marks are text, set "
        "quoting=none",
    ]
    assert Path("out.csv").read_text().splitlines()[3].startswith('"w3')


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("place", [0, 20])
def test_a_quotation_mark_that_is_never_closed_is_refused_with_its_line(
    packed: str, place: int, folder: Path, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"{text},{n}\r\n" for n, text in enumerate(TEXTS)]
    rows[place] = f'"{rows[place]}'
    data = "".join(["text,n\r\n", *rows]).encode("utf-8-sig")
    (folder / f"open.csv{packed}").write_bytes(gzip.compress(data) if packed else data)
    before = sorted(folder.iterdir())
    found = f"has a quotation mark on line {place + 2}, which is never closed.*quoting=none"
    with pytest.raises(UserError, match=rf"quoting: open\.csv{packed} {found}"):
        predict(f"open.csv{packed}", "out.csv", tasks=["mood"])
    assert sorted(folder.iterdir()) == before
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=f"quoting: standard input {found}"):
        predict("-", None, tasks=["mood"])
    assert predict(f"open.csv{packed}", "out.csv", tasks=["mood"], overrides=["quoting=none"]).failed == 0
    assert len(read("out.csv")) == 30


def test_every_text_comes_through_every_format(folder: Path, predict: Predict) -> None:
    odd = ['a\rb "c", d;', "e\r\nf\n", "\u2028 é", "007", "=1+1", "NA", "tab\there"]
    write(folder / "odd.jsonl", [{"text": text, "n": [1, {"a": None}]} for text in odd])
    for kind in ("csv", "tsv", "parquet", "jsonl"):
        predict("odd.jsonl", f"first.{kind}", tasks=["mood"])
        source = folder / f"bare.{kind}"
        if kind == "parquet":
            pq.write_table(pq.read_table(f"first.{kind}").select(["text", "n"]), source)
            predict(source.name, "again.jsonl", tasks=["mood"], overwrite=True)
            assert [row["text"] for row in read("again.jsonl")] == odd
            continue
        text = Path(f"first.{kind}").read_bytes().decode()
        rows = [json.loads(line) for line in text.split("\n")[:-1]] if kind == "jsonl" else None
        if rows is None:
            with Path(f"first.{kind}").open(newline="") as file:
                rows = list(csv.DictReader(file, delimiter="\t" if kind == "tsv" else ","))
            assert {row["n"] for row in rows} == {'[1, {"a": null}]'}
        assert [row["text"] for row in rows] == odd


def test_halves_of_letters_are_marked_and_written(folder: Path, predict: Predict) -> None:
    (folder / "half.jsonl").write_text('{"text": "w1 \\ud800"}\n{"text": "w2"}\n')
    predict("half.jsonl", "out.jsonl", tasks=["mood"])
    first, second = read("out.jsonl")
    assert (first["text"], second["error"]) == ("w1 \ud800", None)
    assert first["error"] == "'text' holds half of a letter (a surrogate), which is no text"
    predict("half.jsonl", "out.csv", tasks=["mood"])
    assert read("out.csv")[0]["text"] == r"w1 \ud800"


@pytest.mark.parametrize("output", FORMATS)
def test_numbers_that_json_lacks_are_written_as_null(output: str, folder: Path, predict: Predict) -> None:
    lines = ['{"text": "w1", "more": [NaN, {"y": -Infinity}, 1.5]}', '{"text": "w\\ud800", "more": [NaN]}']
    (folder / "nan.jsonl").write_text("\n".join(lines))
    predict("nan.jsonl", f"out.{output}", tasks=["mood"])
    found = [row["more"] for row in read(f"out.{output}")]
    if output != "jsonl":
        found = [json.loads(text, parse_constant=pytest.fail) for text in found]
    assert found == [[None, {"y": None}, 1.5], [None]]
    pq.write_table(pa.table({"text": ["w1"], "more": [float("nan")]}), folder / "nan.parquet")
    predict("nan.parquet", "again.jsonl", tasks=["mood"])
    assert json.loads(Path("again.jsonl").read_text(), parse_constant=pytest.fail)["more"] is None


def test_a_parquet_file_without_rows_or_with_coded_texts_is_read(folder: Path, predict: Predict) -> None:
    none = pa.table({"text": pa.array([], pa.string())})
    pq.write_table(none, folder / "none.parquet")
    assert predict("none.parquet", "none.jsonl", tasks=["mood"]).rows == 0
    coded = pa.table({"text": pa.array(TEXTS).dictionary_encode(), "day": pa.array([None] * 30, pa.date32())})
    pq.write_table(coded, folder / "coded.parquet")
    predict("coded.parquet", "coded.out.parquet", tasks=["mood"])
    assert pq.read_table("coded.out.parquet")["day"].type == pa.date32()
    predict("rows.csv", "plain.csv", tasks=["mood"])
    scores = pq.read_table("coded.out.parquet")["mood.score"].to_pylist()
    assert scores == close([row["mood.score"] for row in read("plain.csv")])


def test_a_row_that_one_task_cannot_read_has_the_predictions_of_others(folder: Path) -> None:
    tasks = {
        "mood": tiny.TASKS["mood"],
        "nli": SequenceClassification(text=["text", "other"], labels=["yes", "no"]),
        "tags": TokenClassification(text="text", labels=["O", "B-X", "I-X"]),
        "choice": MultipleChoice(text="text", choices=["a", "b"]),
    }
    found = tiny.model(tasks=tasks, head="linear")
    rows = [
        {"text": "w1 w2", "other": "w3", "a": "w4", "b": "w5"},
        {"text": "w1 w2", "other": None, "a": "w4", "b": None},
        {"text": None, "other": "w3", "a": "w4", "b": "w5"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "mixed.parquet")
    predict_file(found, tiny.tokenizer(), "mixed.parquet", "out.parquet", FileOptions(everything=True))
    first, second, third = read("out.parquet")
    assert first["error"] is None
    assert second["error"] == "nli: no text in 'other'; choice: with fewer than two choices"
    assert (second["mood.label"], second["nli.label"], second["choice.index"]) == (first["mood.label"], None, None)
    assert second["tags.entities"] == close(first["tags.entities"])
    assert third["error"] == "no text in 'text'"
    assert third["tags.words"] is None


@pytest.mark.parametrize("order", [("tags", "mood"), ("mood", "tags")])
def test_of_a_column_read_as_texts_and_as_lists_the_first_value_decides(folder: Path, order: tuple[str, str]) -> None:
    """Whichever task comes first; the column of every row is one."""
    tasks = {
        "tags": TokenClassification(labels=["O", "X"], text="text"),
        "mood": SequenceClassification(labels=["a", "b"], text="text"),
    }
    model = MultiTaskModel.from_backbone(dict(tiny.BERT), {name: tasks[name] for name in order}, "linear")
    texts, lists = [{"text": "w1 w2"}] * 8, [{"text": ["w1", "w2"]}] * 8
    write(folder / "texts.jsonl", [*texts, *lists])
    predict_file(model, tiny.tokenizer(), "texts.jsonl", "texts.out.jsonl")
    found = read("texts.out.jsonl")
    assert all(row["mood.label"] and len(row["tags.tags"]) == 2 and row["error"] is None for row in found[:8])
    assert {row["error"] for row in found[8:]} == {"mood: column 'text' holds lists, not texts"}
    assert found[8]["tags.tags"] == found[0]["tags.tags"]
    write(folder / "lists.jsonl", [*lists, *texts])
    with pytest.raises(UserError, match=r"tasks\.mood\.text: column 'text' holds lists, not texts"):
        predict_file(model, tiny.tokenizer(), "lists.jsonl", "lists.out.jsonl")
    assert not list(folder.glob("lists.out*"))


@pytest.mark.parametrize("kind", FORMATS)
def test_what_was_broken_off_goes_on_to_the_same_bytes(kind: str, folder: Path, predict: Predict) -> None:
    def stop(rows: int, total: int | None) -> None:
        if rows > 8:
            raise KeyboardInterrupt

    predict(f"rows.{kind}", f"whole.{kind}", everything=True)
    with pytest.raises(Interrupted):
        predict(f"rows.{kind}", f"out.{kind}", stop, everything=True)
    partial = folder / f"out.{kind}.partial"
    assert not Path(f"out.{kind}").exists()
    with partial.open("ab") as file:  # as a piece that a kill has cut
        file.write(b"w1 w2")
    with pytest.raises(UserError, match="were not finished.*--resume"):
        predict(f"rows.{kind}", f"out.{kind}", everything=True)
    seen: list[int] = []
    summary = predict(
        f"rows.{kind}", f"out.{kind}", lambda rows, total: seen.append(rows), everything=True, resume=True
    )
    assert (summary.rows, summary.before, seen) == (30, 16, [24, 30])
    assert Path(f"out.{kind}").read_bytes() == Path(f"whole.{kind}").read_bytes()
    assert not [path for path in folder.iterdir() if "partial" in path.name]


def test_a_mistake_late_in_a_file_leaves_nothing_that_could_not_be_gone_on_with(
    folder: Path, predict: Predict
) -> None:
    late = [*ROWS[:20], {"text": "w1", "late": 1}]
    write(folder / "late.jsonl", late)
    (folder / "latin.csv").write_bytes(Path("rows.csv").read_bytes() + "café,31\n".encode("latin-1"))
    before = sorted(folder.iterdir())
    for source, resume in (("late.jsonl", False), ("latin.csv", False), ("late.jsonl", True)):
        with pytest.raises(UserError, match="'late'|is not utf-8"):
            predict(source, "out.csv", resume=resume)
        assert sorted(folder.iterdir()) == before
    write(folder / "late.jsonl", late[:-1])
    assert predict("late.jsonl", "out.csv").rows == 20


def test_rows_that_were_read_in_another_way_are_not_gone_on_with(folder: Path, predict: Predict) -> None:
    def stop(rows: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        predict("rows.csv", "out.csv", stop)
    with pytest.raises(UserError, match="is of another options"):
        predict("rows.csv", "out.csv", resume=True, overrides=["quoting=none"])


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_finished_is_left_as_it_is(
    kind: str, folder: Path, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*ROWS, {"text": "", "n": 30}]
    write(folder / "rows.csv", rows)
    first = predict("rows.csv", f"out.{kind}")
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    for name in (f"out.{kind}.partial", f"out.{kind}.partial.json"):  # as a kill in the last moment leaves them
        (folder / name).write_text("{")
    monkeypatch.setattr(AskedChunks, "ask", None)
    again = predict("rows.csv", f"out.{kind}", resume=True)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
    assert (again.finished, again.rows, again.before, again.failed) == (True, 31, 31, first.failed)
    assert (first.finished, first.failed) == (False, 1)


def test_what_is_finished_of_something_else_is_refused(folder: Path, predict: Predict) -> None:
    (folder / "mine.csv").write_text("mine")
    with pytest.raises(UserError, match=r"mine\.csv is there already, and nothing says what.*--overwrite"):
        predict("rows.csv", "mine.csv", resume=True)
    predict("rows.csv", "out.csv")
    with pytest.raises(UserError, match=r"out\.csv was made of another options.*--overwrite"):
        predict("rows.csv", "out.csv", resume=True, everything=True)
    with pytest.raises(UserError, match="was made of another input"):
        predict("rows.jsonl", "out.csv", resume=True)
    with Path("out.csv").open("a") as file:
        file.write("more\n")
    with pytest.raises(UserError, match=r"out\.csv has changed since it was made"):
        predict("rows.csv", "out.csv", resume=True)
    assert predict("rows.csv", "out.csv", resume=True, overwrite=True).before == 0
    assert predict("rows.csv", "out.csv", resume=True).finished


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"of": 1, "bytes": 2, "done": {}}', '{"of": {}, "bytes": "2"}'])
def test_a_damaged_record_is_named_with_what_to_do(text: str, folder: Path, predict: Predict) -> None:
    (folder / "out.csv.partial.json").write_text(text)
    with pytest.raises(UserError, match=r"out\.csv\.partial\.json: damaged .*Begin anew with --overwrite"):
        predict("rows.csv", "out.csv", resume=True)
    predict("rows.csv", "out.csv", overwrite=True)
    (folder / ".out.csv.done.json").write_text(text)
    with pytest.raises(UserError, match=r"\.out\.csv\.done\.json: damaged .*Give --overwrite"):
        predict("rows.csv", "out.csv", resume=True)


def test_another_input_model_or_option_is_not_gone_on_with(
    folder: Path, predict: Predict, model: MultiTaskModel
) -> None:
    def stop(rows: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        predict("rows.csv", "out.csv", stop)
    with pytest.raises(UserError, match="is of another options"):
        predict("rows.csv", "out.csv", resume=True, everything=True)
    other = tiny.model(seed=4)
    other.set_statistics("score", mean=[10.0, -5.0], std=[2.0, 3.0])
    with pytest.raises(UserError, match="is of another model"):
        predict_file(other, tiny.tokenizer(), "rows.csv", "out.csv", FileOptions(resume=True))
    write(folder / "rows.csv", ROWS[:-1])
    with pytest.raises(UserError, match="is of another input"):
        predict("rows.csv", "out.csv", resume=True)
    predict("rows.csv", "out.csv", overwrite=True)
    assert len(read("out.csv")) == 29


REFUSED: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "no file": ("none.csv", "out.csv", {}, "none.csv is no file"),
    "a folder": (".", "out.csv", {}, "is a folder"),
    "another suffix": ("rows.txt", "out.csv", {}, "a suffix that names no format"),
    "another suffix of the output": ("rows.csv", "out.xlsx", {}, r"--output: out\.xlsx has another suffix"),
    "no folder": ("rows.csv", "none/out.csv", {}, "there is no folder none"),
    "the same file": ("rows.csv", "./rows.csv", {"overwrite": True}, "is the file that is read"),
    "there already": ("rows.csv", "there.csv", {}, "is there already.*--overwrite"),
    "no such task": ("rows.csv", "out.csv", {"tasks": ["moods"]}, "no task 'moods'.*Did you mean 'mood'"),
    "no column": ("rows.csv", "out.csv", {"overrides": ["tasks.mood.text=body"]}, r"no column 'body'.*text=COLUMN"),
    "another key": ("rows.csv", "out.csv", {"overrides": ["tasks.mood.labels=3"]}, r"Allowed: tasks\.mood\.text"),
    "another section": ("rows.csv", "out.csv", {"overrides": ["training.seed=3"]}, "says nothing of rows to predict"),
    "csv options": ("rows.jsonl", "out.csv", {"overrides": ["sep=;"]}, "is read as jsonl"),
    "a column of numbers": ("rows.parquet", "o.csv", {"overrides": ["tasks.mood.text=n"]}, "column 'n' holds int64"),
    "other bytes": ("broken.parquet", "out.csv", {}, "broken.parquet cannot be read"),
    "another encoding": ("latin.csv", "out.csv", {}, r"encoding: latin\.csv is not utf-8"),
    "taken columns": ("taken.csv", "out.csv", {}, "have a column 'error'"),
    "an empty file": ("empty.csv", "out.csv", {}, "is empty"),
    "resume of a pipe": ("-", "out.csv", {"resume": True}, "standard input is gone"),
    "resume of nothing": ("rows.csv", None, {"resume": True}, "no file to write"),  # type: ignore[dict-item]
    "parquet to a terminal": ("rows.parquet", None, {}, "parquet does not go to standard output"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_before_anything_is_written(case: str, folder: Path, predict: Predict) -> None:
    (folder / "there.csv").write_text("mine")
    (folder / "rows.txt").write_text("text\nw1\n")
    (folder / "broken.parquet").write_bytes(b"PAR1")
    (folder / "latin.csv").write_bytes("text\ncafé\n".encode("latin-1"))
    (folder / "taken.csv").write_text("text,error\nw1,2\n")
    (folder / "empty.csv").write_text("")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    source, output, options, problem = REFUSED[case]
    with pytest.raises(UserError, match=problem):
        predict(source, output, **options)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_columns_are_named_or_found_and_csv_is_read_as_it_is_written(folder: Path, predict: Predict) -> None:
    predict("rows.csv", "expected.csv", tasks=["mood"])
    expected = [row["mood.score"] for row in read("expected.csv")]
    write(folder / "one.csv", [{"sentence": text} for text in TEXTS])
    predict("one.csv", "one.out.csv", tasks=["mood"])
    body = "".join(f"{place};{text}\r\n" for place, text in enumerate(TEXTS))
    with gzip.open("body.csv.gz", "wb") as file:
        file.write(body.encode("utf-16"))
    keys = ["tasks.mood.text=body", "sep=;", "encoding=utf-16", "header=[id, body]"]
    predict("body.csv.gz", "body.out.csv", tasks=["mood"], overrides=keys)
    for name in ("one.out.csv", "body.out.csv"):
        assert [row["mood.score"] for row in read(name)] == expected


def test_a_file_without_rows_has_the_columns_alone(folder: Path, predict: Predict) -> None:
    (folder / "none.csv").write_text("text,n\n")
    assert predict("none.csv", "out.csv", tasks=["mood"]).rows == 0
    assert Path("out.csv").read_text() == "text,n,mood.label,mood.score,error\n"
    predict("none.csv", "out.parquet", tasks=["mood"])
    assert pq.read_table("out.parquet").column_names == ["text", "n", "mood.label", "mood.score", "error"]
    (folder / "none.jsonl").write_text("")
    predict("none.jsonl", "out.jsonl", tasks=["mood"])
    assert Path("out.jsonl").read_text() == ""


def test_a_column_that_comes_later_does_not_fit_a_table(folder: Path, predict: Predict) -> None:
    rows = [*ROWS[:20], {"text": "w1", "late": [1]}]
    write(folder / "late.jsonl", rows)
    with pytest.raises(UserError, match=r"row 20, counted from 0, has 'late'.*\.jsonl"):
        predict("late.jsonl", "out.csv", tasks=["mood"])
    predict("late.jsonl", "out.jsonl", tasks=["mood"])
    assert read("out.jsonl")[-1]["late"] == [1]


def test_rows_that_are_too_long_are_counted(folder: Path, predict: Predict) -> None:
    long = " ".join(f"w{place % 60}" for place in range(70))
    write(folder / "long.csv", [{"text": long if place % 3 else "w1"} for place in range(20)])
    cut = predict("long.csv", "cut.csv")
    assert cut.cut == {"topic": 13, "mood": 13, "score": 13}
    read_whole = predict("long.csv", "whole.csv", long="chunk")
    assert (read_whole.cut, read_whole.windowed) == (dict.fromkeys(cut.cut, 0), dict.fromkeys(cut.cut, 13))
    assert read("whole.csv")[1]["mood.score"] != read("cut.csv")[1]["mood.score"]
    assert read("whole.csv")[0] == close(read("cut.csv")[0])


@pytest.mark.slow
def test_a_run_that_is_killed_or_stopped_goes_on_to_the_same_bytes(tmp_path: Path, model: MultiTaskModel) -> None:
    model.save_pretrained(tmp_path / "model")
    tiny.tokenizer().save_pretrained(tmp_path / "model")
    Dataset.from_dict({"text": TEXTS * 800}).to_csv(tmp_path / "rows.csv")
    command = [sys.executable, "-m", "hf_mtl", "predict", "model", "rows.csv", "-o"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([*command, "whole.csv"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    for how, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        process = subprocess.Popen(
            [*command, "out.csv", "--resume"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
        )
        partial = tmp_path / "out.csv.partial"
        before = partial.stat().st_size if partial.exists() else 0
        end = time.monotonic() + 120
        while not (partial.exists() and partial.stat().st_size > before) and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(how)
        assert process.wait(60) == code
    assert "go on with --resume" in (process.stderr.read() if process.stderr else "")
    subprocess.run([*command, "out.csv", "--resume"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
