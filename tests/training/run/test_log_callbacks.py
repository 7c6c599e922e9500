import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState

from hf_mtl import MultiTaskTrainingArguments, Regression, SequenceClassification
from hf_mtl.reporting.json_files import append_jsonl, read_jsonl
from hf_mtl.tasks import Task
from hf_mtl.training.run.log_callbacks import (
    JsonLogCallback,
    LayoutCallback,
    TaskPrinterCallback,
    TaskProgressCallback,
    log_line,
)
from tests import tiny


@pytest.fixture
def args(tmp_path: Path) -> MultiTaskTrainingArguments:
    return MultiTaskTrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")


def log(
    path: Path, args: MultiTaskTrainingArguments, step: int, logs: dict[str, Any] | None, main: bool = True
) -> None:
    before = read_jsonl(path) if path.exists() else []
    state = TrainerState(global_step=step, log_history=[*before, logs or {}], is_world_process_zero=main)
    JsonLogCallback(path).on_log(args, state, TrainerControl(), logs=logs)


def test_records_are_written_with_their_step(tmp_path: Path, args: MultiTaskTrainingArguments) -> None:
    path = tmp_path / "log.jsonl"
    log(path, args, 5, {"loss": 0.5})
    log(path, args, 10, {"loss": float("nan"), "eval_average": 0.7})
    log(path, args, 11, {})
    log(path, args, 12, None)
    log(path, args, 13, {"loss": 0.1}, main=False)
    assert read_jsonl(path) == [{"step": 5, "loss": 0.5}, {"step": 10, "loss": None, "eval_average": 0.7}]


@pytest.mark.parametrize(("kept", "steps"), [(0, [16]), (1, [5, 16]), (3, [5, 10, 10, 16])])
def test_the_first_record_follows_those_that_the_checkpoint_remembers(
    tmp_path: Path, args: MultiTaskTrainingArguments, kept: int, steps: list[int]
) -> None:
    path = tmp_path / "log.jsonl"
    records = [{"step": step, "loss": float(place)} for place, step in enumerate((5, 10, 10, 15))]
    for record in records:
        append_jsonl(path, record)
    before = path.read_bytes()
    callback = JsonLogCallback(path)
    state = TrainerState(global_step=16, log_history=records[:kept], is_world_process_zero=True)
    callback.on_train_begin(args, state, TrainerControl())
    assert path.read_bytes() == before, "nothing is dropped until the first record takes its place"
    for place in range(2):
        state.log_history.append({"loss": 0.5, "step": 16})
        callback.on_log(args, state, TrainerControl(), logs={"loss": 0.5})
        assert [record["step"] for record in read_jsonl(path)] == [*steps, 16][: len(steps) + place]


def test_other_processes_leave_the_log_alone(tmp_path: Path, args: MultiTaskTrainingArguments) -> None:
    path = tmp_path / "log.jsonl"
    append_jsonl(path, {"step": 5})
    log(path, args, 6, {"loss": 0.5}, main=False)
    assert len(read_jsonl(path)) == 1


def test_a_log_line_shows_losses_or_scores() -> None:
    losses = {"loss": 0.5, "loss/a": 0.25, "loss/b": 0.75, "share/a": 0.5, "learning_rate": 1e-5}
    assert log_line(losses, 7, 100, {}) == "step   7/100  loss 0.500  (a 0.250, b 0.750)"
    assert (
        log_line({"loss": 0.5, "loss/a\n\x1b[2J": 0.5}, 7, 10, {}) == "step  7/10  loss 0.500  (a\\n\\x1b[2J 0.500)"
    )
    assert log_line({"train_runtime": 3.0, "train_loss": 0.1}, 10, 10, {}) == ""


def test_a_validation_line_names_every_task_that_was_scored_and_its_main_metric() -> None:
    tasks: dict[str, Task] = {
        "mood": SequenceClassification(labels=2, metrics=["ece", "accuracy", "f1_macro"]),
        "mood_ece": SequenceClassification(labels=2),  # whose scores begin as one of the other's
        "rating": Regression(label=["x", "y"]),
        "unscored": Regression(),
    }
    scores = {"eval_average": 0.5, "eval_macro": 0.25, "eval_worst": float("nan"), "eval_loss": 2.0}
    scores |= {"eval_mood_ece": 0.1, "eval_mood_accuracy": 0.75, "eval_mood_f1_macro": 0.7, "eval_mood_loss": 2.0}
    scores |= {"eval_mood_ece_f1_macro": 0.125, "eval_rating_pearson": 0.5, "eval_rating_pearson_x": 0.9}
    assert log_line(scores, 7, 10, tasks) == (
        "step  7/10  validation: average 0.5000, macro 0.2500, worst nan  "
        "(mood accuracy 0.7500, mood_ece f1_macro 0.1250, rating pearson 0.5000)"
    )


def closed() -> None:
    return None


def broken() -> io.TextIOWrapper:
    read, write = os.pipe()
    os.close(read)
    return io.TextIOWrapper(io.FileIO(write, "w"), write_through=True)


def of_few_letters() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii")


@pytest.mark.parametrize("stream", [closed, broken, of_few_letters])
@pytest.mark.parametrize("callback", [TaskPrinterCallback, TaskProgressCallback])
def test_a_line_that_cannot_be_written_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, args: MultiTaskTrainingArguments, stream: Any, callback: Any
) -> None:
    state = TrainerState(global_step=1, max_steps=2)
    speaking = callback({})
    speaking.on_train_begin(args, state, TrainerControl())
    monkeypatch.setattr(sys, "stdout", stream())
    speaking.on_log(args, state, TrainerControl(), {"loss": 1.0, "loss/émotion": 1.0})
    speaking.on_train_end(args, state, TrainerControl())


def test_how_rows_reach_the_encoder_is_said_once_and_by_one_process(
    args: MultiTaskTrainingArguments, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny.model()
    model.settle_layout("groups")
    for main in (True, False):
        LayoutCallback(model).on_train_begin(args, TrainerState(is_world_process_zero=main), TrainerControl())
    assert capsys.readouterr().out.startswith("Rows reach the encoder groups: as asked")
