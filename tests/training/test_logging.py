"""What a user sees of a run while it goes on: on the screen, in the log, in TensorBoard."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hf_mtl.inference import encode
from tests.training import runs
from tests.training.trainers import make

TASKS = ("topic", "mood", "score")
SPENT = ("backward_passes", "encoder_backward_passes", "flops", "optimizer_runtime")
SIGNALS = {f"{what}/{name}" for what in ("loss", "weight", "share", "passes", "relative_loss") for name in TASKS}
EVALUATED = {
    *(
        f"eval_{key}"
        for key in ("average", "macro", "worst", "loss", "topic_f1_macro", "topic_loss", "mood_f1_macro")
    ),
    *(f"eval_{key}" for key in ("mood_loss", "score_pearson", "score_pearson_x", "score_pearson_y", "score_loss")),
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("world")
    with runs.own_cache(folder):
        yield runs.write_recipe(folder, max_steps=6, logging_steps=3, eval_steps=3, save_strategy="no")


def test_tensorboard_has_the_tasks_losses_and_scores(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    runs.train(recipe, tmp_path / "run", "training.report_to=tensorboard")
    events = event_accumulator.EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {f"train/{name}" for name in SIGNALS} <= tags
    assert {f"eval/{name.removeprefix('eval_')}" for name in EVALUATED} <= tags
    losses = [(event.step, event.value) for event in events.Scalars("train/loss/mood")]
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    logged = [(record["step"], record["loss/mood"]) for record in records if "loss/mood" in record]
    assert [step for step, _ in losses] == [step for step, _ in logged] == [3, 6]
    assert [value for _, value in losses] == pytest.approx([value for _, value in logged], rel=1e-6)


def test_a_run_reports_nowhere_by_itself(recipe: Path, tmp_path: Path) -> None:
    runs.train(recipe, tmp_path / "run", "training.report_to=")
    assert not [path for path in tmp_path.rglob("*") if "tfevents" in path.name or path.name == "runs"]


def test_the_log_has_one_record_for_each_moment(recipe: Path, tmp_path: Path) -> None:
    runs.train(recipe, tmp_path / "run")
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    trained, evaluated = ([r for r in records if key in r] for key in ("loss", "eval_average"))
    summary = [record for record in records if "train_runtime" in record]
    assert len(trained) + len(evaluated) + len(summary) == len(records)
    assert [record["step"] for record in trained] == [3, 6]
    assert [record["step"] for record in evaluated] == [3, 6, 6]  # the last of the model that is kept
    assert [record["step"] for record in summary] == [6]
    for record in trained:
        assert set(record) == {"step", "epoch", "loss", "grad_norm", "learning_rate", *SIGNALS, *SPENT}
    for record in evaluated:
        assert EVALUATED | {"step", "epoch"} <= set(record)


def test_with_a_progress_bar_the_log_is_a_line_for_each_record(
    recipe: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    runs.train(recipe, tmp_path / "run", "training.disable_tqdm=false")
    captured = capfd.readouterr()
    said = captured.out + captured.err
    assert "step 3/6  loss " in said
    assert "step 6/6  validation: average " in said
    assert "relative_loss" not in said


def test_what_was_truncated_is_said(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(encode.logger, "warning_once", said.append)
    runs.train(recipe, tmp_path / "run", "training.max_steps=1", "model.max_length=5")
    assert sum("train rows are longer than 5 tokens and are cut" in line for line in said) == 3


def test_floating_point_operations_are_counted_over_real_tokens(tmp_path: Path) -> None:
    trainers = [
        make(tmp_path / layout, encoder_layout=layout, group_cost=1) for layout in ("packed", "groups", "padded")
    ]
    for trainer in trainers:
        trainer.train()
    assert len({trainer.state.total_flos for trainer in trainers}) == 1
    assert trainers[0].state.total_flos > 0
