"""What the log says of the tasks' gradients."""

from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl.training.checkpoint import restore, save_state
from hf_mtl.training.watch.conflicts import ConflictLog, SampledConflicts
from tests import tiny
from tests.training.trainers import make, parameters, records, same

ROWS = torch.tensor([[1.0, 0.0], [-1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)


def test_a_record_has_norms_cosines_and_the_share_of_conflicts() -> None:
    log = ConflictLog(["a", "b", "c"])
    log.observe(ROWS @ ROWS.T, torch.tensor([0.25, 0.75, 0.0]))
    record = log.flush()
    assert record == {
        "gradient_norm/a": 1.0,
        "gradient_norm/b": pytest.approx(2**0.5),
        "gradient_cosine/a/b": pytest.approx(-(0.5**0.5)),
        "conflict_rate": 1.0,
        "aggregator_weight/a": 0.25,
        "aggregator_weight/b": 0.75,
    }
    assert log.flush() == {}


def test_a_mean_is_over_the_samples_that_had_the_tasks() -> None:
    log = ConflictLog(["a", "b", "c"])
    log.observe(ROWS @ ROWS.T)
    all_there = torch.eye(3, dtype=torch.float64) * 4
    log.observe(all_there)
    log.observe(torch.full((3, 3), torch.nan))  # a step that was skipped
    record = log.flush()
    assert record["gradient_norm/a"] == 1.5
    assert record["gradient_norm/c"] == 2.0
    assert record["gradient_cosine/a/b"] == pytest.approx(-(0.5**0.5) / 2)
    assert record["gradient_cosine/b/c"] == 0.0
    assert record["conflict_rate"] == 0.25  # one pair of one and three


@pytest.mark.parametrize("layout", ["auto", "split"])
def test_samples_do_not_touch_the_run(tmp_path: Path, layout: str) -> None:
    def run(every: int) -> Any:
        section = {"gradients": {"log_every": every, "layout": layout}}
        trainer = make(tmp_path / str(every), model=tiny.model(dropout=0.1), balancing=section, max_steps=6)
        trainer.train()
        return trainer

    without, sampled = run(0), run(2)
    assert same(parameters(without), parameters(sampled))
    assert records(without, "loss") == records(sampled, "loss")
    assert not records(without, "conflict_rate")
    assert len(records(sampled, "conflict_rate")) >= 2
    assert all(-1 <= value <= 1 for value in records(sampled, "gradient_cosine/topic/mood"))
    assert sampled.state.total_flos > without.state.total_flos


def test_an_aggregator_logs_its_decisions(tmp_path: Path) -> None:
    trainer = make(tmp_path, balancing={"weighting": None, "aggregator": "cagrad"}, max_steps=4)
    trainer.train()
    for key in ("gradient_norm/score", "gradient_cosine/topic/mood", "aggregator_weight/mood", "conflict_rate"):
        assert len(records(trainer, key)) == 4


def test_weightings_of_gradients_are_sampled_too(tmp_path: Path) -> None:
    section = {"weighting": {"name": "gradnorm_scaling", "every": 1}, "gradients": {"log_every": 2}}
    trainer = make(tmp_path, balancing=section, max_steps=6)
    trainer.train()
    assert len(records(trainer, "conflict_rate")) >= 2


def test_the_norms_of_a_decision_are_without_the_weighting(tmp_path: Path) -> None:
    def norms(weighting: Any) -> list[float]:
        trainer = make(tmp_path, balancing={"weighting": weighting, "aggregator": "cagrad"}, max_steps=1)
        trainer.train()
        return [value for name in tiny.TASKS for value in records(trainer, f"gradient_norm/{name}")]

    assert norms({"name": "fixed", "weights": [0.1, 1.0, 7.0]}) == pytest.approx(norms(None), rel=1e-4)


def test_a_task_that_is_seldom_there_has_its_own_mean_weight() -> None:
    log = ConflictLog(["a", "b"])
    log.observe(torch.eye(2, dtype=torch.float64), torch.tensor([0.5, 1.0]))
    log.observe(torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64)), torch.tensor([0.25, 0.0]))
    record = log.flush()
    assert record["aggregator_weight/a"] == 0.375
    assert record["aggregator_weight/b"] == 1.0


@pytest.mark.parametrize(("batch", "accumulation", "rows", "every"), [(8, 1, 2, 10), (60, 1, 8, 10), (1, 1, 2, 30)])
def test_a_sample_is_about_a_micro_batch_and_rarer_where_it_is_more_than_two_steps(
    tmp_path: Path, batch: int, accumulation: int, rows: int, every: int
) -> None:
    options = {"per_device_train_batch_size": batch, "gradient_accumulation_steps": accumulation}
    trainer = make(tmp_path, balancing={"gradients": {"log_every": 10}}, **options)
    (sampled,) = [one for one in trainer.callback_handler.callbacks if isinstance(one, SampledConflicts)]
    assert (sampled.rows_per_task, sampled.every) == (rows, every)


def test_a_sample_that_fails_is_the_last_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(SampledConflicts, "_sample", fail)
    trainer = make(tmp_path, balancing={"gradients": {"log_every": 1}}, max_steps=4)
    trainer.train()
    assert trainer.state.global_step == 4
    assert caplog.text.count("not recorded any more: OutOfMemoryError: no room") == 1


@pytest.mark.parametrize(("precision", "every"), [({}, 1), ({"bf16": True}, 1), ({"fp16": True}, 4)])
def test_a_sample_beside_bf16_is_taken_in_it_and_beside_fp16_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: dict[str, bool], every: int
) -> None:
    def sample(folder: Path, **options: Any) -> tuple[SampledConflicts, torch.Tensor]:
        trainer = make(folder, balancing={"gradients": {"log_every": 1}}, max_steps=1, **options)
        trainer.train()
        (sampled,) = [one for one in trainer.callback_handler.callbacks if isinstance(one, SampledConflicts)]
        return sampled, sampled._sample(1)

    if "fp16" in precision:  # which a CPU does not train in
        sampled, _ = sample(tmp_path)
        monkeypatch.setattr(sampled._args, "fp16", True)
    else:
        sampled, found = sample(tmp_path, **precision)
        _, exact = sample(tmp_path)
        error = float((found - exact).norm() / exact.norm())
        assert (error > 0) == bool(precision)
        assert error < 0.05  # 8 bits
    assert sampled.every == every


def test_a_restored_record_goes_on_in_its_middle(tmp_path: Path) -> None:
    whole, first, second = (ConflictLog(["a", "b", "c"]) for _ in range(3))
    for log in (whole, first):
        log.observe(ROWS @ ROWS.T, torch.tensor([0.25, 0.75, 0.0]))
    save_state(tmp_path / "state", {"conflicts": first})
    restore(tmp_path / "state", {"conflicts": second})
    for log in (whole, second):
        log.observe(torch.eye(3, dtype=torch.float64) * 4)
    assert second.flush() == whole.flush()
