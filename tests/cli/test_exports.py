"""`hf-mtl export`: what it prints and leaves, and what it refuses before it starts."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hf_mtl import MultiLabelClassification, SequenceClassification, TokenClassification
from hf_mtl.cli.exports import _how_to_use
from hf_mtl.tasks import Task
from tests.cli.conftest import Said

Command = Callable[..., Said]


def test_a_run_is_exported_as_plain_models_and_their_use_is_shown(
    hf_mtl: Command, world: Path, tmp_path: Path
) -> None:
    said = hf_mtl("export", world / "run", tmp_path / "out")
    assert said.code == 0
    assert f"topic: BertForSequenceClassification in {tmp_path}/out/topic" in said.out
    assert f'pipeline("text-classification", model="{tmp_path}/out/topic", truncation=True)("a text")' in said.out
    said = hf_mtl("export", world / "run" / "checkpoint-2", tmp_path / "one", "--task", "score")
    assert said.code == 0
    used = f'model="{tmp_path}/one", truncation=True, top_k=None, function_to_apply="none")("a text")'
    assert used in said.out
    assert (tmp_path / "one" / "model.safetensors").is_file()


TASKS: dict[str, tuple[Task, str]] = {
    "labels": (
        MultiLabelClassification(labels=["p", "q"]),
        '"text-classification", model="DIR", truncation=True, top_k=None)("a text")',
    ),
    "pair": (
        SequenceClassification(text=["one", "two"], labels=["p", "q"]),
        '"text-classification", model="DIR", truncation=True)({"text": "a text", "text_pair": "and another"})',
    ),
    "tags": (
        TokenClassification(labels=["O", "B-X", "I-X"], word_pieces="all"),
        '"token-classification", model="DIR", aggregation_strategy="first")("a text")',
    ),
}


@pytest.mark.parametrize("name", TASKS)
def test_a_pipeline_is_shown_with_what_makes_it_answer_as_here(name: str) -> None:
    task, shown = TASKS[name]
    assert f"pipeline({shown}\n" in _how_to_use({name: task}, {name: Path("DIR")})


@pytest.mark.slow
def test_a_run_is_exported_as_a_quantised_graph_and_its_loss_is_said(
    hf_mtl: Command, world: Path, tmp_path: Path
) -> None:
    said = hf_mtl("export", world / "run", tmp_path / "out", "--format", "onnx", "--quantize", "int8")
    assert said.code == 0
    assert "model.onnx: outputs topic, mood, score" in said.out
    assert "What quantisation costs, on validation:" in said.out
    assert " in float32, " in said.out
    few = hf_mtl(
        "export", world / "run", tmp_path / "few", "--format", "onnx", "--task", "mood", "--quantize", "int8"
    )
    assert few.code == 0
    assert "mood f1_macro: " in few.out
    assert "topic" not in few.out
    (tmp_path / "texts").write_text("w1 w2\nw3\n")
    more = ("--format", "onnx", "--quantize", "int8", "--texts", tmp_path / "texts")
    lines = hf_mtl("export", world / "run", tmp_path / "lines", *more)
    assert "topic: 100.00% of 2 predictions are the same" in lines.out


def test_mistakes_are_said_before_anything_is_written(hf_mtl: Command, world: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for words, message in {
        (world / "run", tmp_path / "full"): "DIR: .*full is there already, and not empty",
        (world / "run", tmp_path / "new", "--task", "topik"): "no task 'topik'. .*Did you mean 'topic'",
        (world / "run", tmp_path / "new", "--quantize", "int8"): "--quantize: found with --format transformers",
        (world / "run", tmp_path / "new", "--texts", "x"): "--texts: found without --quantize",
        (tmp_path / "none", tmp_path / "new"): "none: no such file or folder",
        (world / "run", tmp_path / "new", "--fromat", "onnx"): "Did you mean --format",
    }.items():
        said = hf_mtl("export", *words)
        assert said.code == 2
        assert re.search(message, said.err.replace("\n", " ")), said.err
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
