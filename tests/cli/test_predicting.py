"""The command `predict`: what it reads, prints and refuses."""

import csv
import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hf_mtl import MultiTaskModel
from tests import tiny
from tests.cli.conftest import Said
from tests.training import runs

Command = Callable[..., Said]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    place = tmp_path / "rows.jsonl"
    texts = tiny.rows("mood", 12, seed=5)["text"]
    place.write_text("".join(f"{json.dumps({'text': text})}\n" for text in [*texts, ""]))
    return place


def test_a_run_a_checkpoint_and_a_saved_model_predict_the_same(
    hf_mtl: Command, world: Path, rows: Path, tmp_path: Path
) -> None:
    said = hf_mtl("predict", "--output", tmp_path / "out.csv", world / "run", rows, "--tasks", "mood, topic")
    assert (said.code, said.out) == (0, "")
    assert f"13 rows in {tmp_path / 'out.csv'}, " in said.err
    assert "1 row without a prediction of some task: the column error says why." in said.err
    found = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert list(found[0]) == ["text", "mood.label", "mood.score", "topic.label", "topic.score", "error"]
    assert found[-1]["error"] == "no text in 'text'"
    model = MultiTaskModel.from_pretrained(world / "run")
    assert [row["mood.label"] for row in found[:-1]] == [
        row["label"] for row in model.predict(texts_of(rows), "mood")
    ]
    model.save_pretrained(tmp_path / "saved")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(world / "run" / name, tmp_path / "saved")
    for place in (world / "run" / "checkpoint-2", tmp_path / "saved"):
        said = hf_mtl("predict", place, rows, "--tasks", "mood,topic", "-o", tmp_path / "out.csv", "--overwrite")
        assert said.code == 0, said.err
        assert list(csv.DictReader((tmp_path / "out.csv").open())) == found


def texts_of(rows: Path) -> list[str]:
    return [json.loads(line)["text"] for line in rows.read_text().splitlines()][:-1]


def test_standard_input_goes_to_standard_output_in_its_format(
    hf_mtl: Command, world: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for data, reads in (
        (rows.read_bytes(), lambda text: [json.loads(line) for line in text.splitlines()]),
        (b"text\nw1\n\nw2 w3\n", lambda text: list(csv.DictReader(text.splitlines()))),
    ):
        pipe(monkeypatch, data)
        said = hf_mtl("predict", world / "run", "-", "--tasks", "mood", "--probabilities", "--long", "chunk")
        assert said.code == 0, said.err
        found = reads(said.out)
        assert len(found) in (13, 2)
        keys = {"text", "mood.label", "mood.score", "error"} | {f"mood.p.{name}" for name in labels(world)}
        assert set(found[0]) == keys
        assert "to standard output" in said.err


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\n ", b"\n"])
def test_json_lines_of_standard_input_may_begin_with_a_mark_of_their_encoding(
    start: bytes, hf_mtl: Command, world: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = hf_mtl("predict", world / "run", rows, "--tasks", "mood").out
    pipe(monkeypatch, start + rows.read_bytes())
    said = hf_mtl("predict", world / "run", "-", "--tasks", "mood")
    assert (said.code, said.out) == (0, expected), said.err


@pytest.mark.parametrize("data", [b'[{"text": "w1"}]', b'\xef\xbb\xbf\n[\n  {"text": "w1"},\n  {"text": "w2"}\n]\n'])
def test_a_list_of_rows_in_json_is_refused_wherever_it_comes_from(
    data: bytes, hf_mtl: Command, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, data)
    (tmp_path / "list.jsonl").write_bytes(data)
    for source, name in (("-", "standard input"), (tmp_path / "list.jsonl", str(tmp_path / "list.jsonl"))):
        said = hf_mtl("predict", world / "run", source, "--tasks", "mood")
        assert (said.code, said.out) == (2, "")
        assert f"{name} is one JSON list" in said.err
        assert "jq -c '.[]'" in said.err


def test_a_header_of_csv_may_begin_with_a_bracket(
    hf_mtl: Command, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, b"[text],n\nw1,2\n")
    said = hf_mtl("predict", world / "run", "-", "--tasks", "mood", "tasks.mood.text='[text]'")
    assert said.code == 0, said.err
    assert said.out.splitlines()[0] == "[text],n,mood.label,mood.score,error"


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Let standard input hold this."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))  # type: ignore[arg-type]


def test_to_resume_what_is_finished_says_so(hf_mtl: Command, world: Path, rows: Path, tmp_path: Path) -> None:
    words = ("predict", world / "run", rows, "--tasks", "mood", "-o", tmp_path / "out.csv")
    assert hf_mtl(*words).code == 0
    said = hf_mtl(*words, "--resume")
    assert said.code == 0
    assert f"{tmp_path / 'out.csv'} is finished; nothing to resume." in said.err
    assert "13 rows" in said.err
    said = hf_mtl(*words)
    assert said.code == 2
    assert "is there already. Give --overwrite, or name another file" in said.err


def test_an_empty_standard_input_is_called_so(hf_mtl: Command, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"")
    said = hf_mtl("predict", world / "run", "-")
    assert said.code == 2
    assert "standard input is empty" in said.err


def labels(world: Path) -> list[str]:
    return MultiTaskModel.from_pretrained(world / "run").tasks["mood"].output_names


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["run"], "predict takes a model and a file of rows"),
        (["run", "rows.jsonl", "more.csv"], "found also: more.csv"),
        (["none/of/it", "rows.jsonl"], "none/of/it: no such file or folder"),
        (["recipe.yaml", "rows.jsonl"], "recipe.yaml is a file, and no model"),
        ([".", "rows.jsonl"], "holds no trained model"),
        (
            ["run", "rows.jsonl", "--batch-tokens", "0"],
            "--batch-tokens: found '0'; allowed: a whole number",
        ),
        (["run", "rows.jsonl", "--batch-tokens", "many"], "--batch-tokens: found 'many'; allowed"),
        (["run", "rows.jsonl", "--device", "meta"], "--device: meta cannot be used: it holds no numbers. Try cpu"),
        (["run", "rows.jsonl", "--device", "hpu"], "--device: hpu cannot be used"),
        (["run", "rows.jsonl", "-o", ""], "--output: is empty. Name a file"),
        (["run", "no.jsonl"], "none of its first 2 lines is a row: line 1 is no JSON"),
        (["run", "rows.jsonl", "--long", "never"], "invalid choice: 'never'"),
        (["run", "rows.jsonl", "--device", "never"], "--device: never cannot be used"),
        (["run", "rows.jsonl", "--outptu", "x"], "Did you mean --output?"),
        (["run", "rows.jsonl", "tasks.mood.text=body"], "the rows have no column 'body'. Columns: text."),
    ],
)
def test_a_mistake_ends_with_2_and_one_message(
    words: list[str], problem: str, hf_mtl: Command, world: Path, rows: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").symlink_to(world / "run")
    (tmp_path / "recipe.yaml").write_text("")
    (tmp_path / "no.jsonl").write_text("text\nw1\n")
    with runs.inside(tmp_path):
        said = hf_mtl("predict", *words)
    assert (said.code, said.out) == (2, "")
    assert problem in said.err
