"""Resuming from Python: the same bits, or a refusal that says why."""

import re
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from hf_mtl import MultiTaskTrainer
from hf_mtl.errors import CheckpointError
from tests import tiny
from tests.training.trainers import SMALL, make, parameters, records, same


@pytest.mark.parametrize("last", [3, 5])
def test_a_run_resumed_at_its_last_step_takes_no_other(tmp_path: Path, last: int) -> None:
    # An epoch is 8 steps: both ends lie within it.
    options: dict[str, Any] = {"max_steps": last, "save_strategy": "steps", "save_steps": last}
    trainer = make(tmp_path, **options)
    trainer.train()
    resumed = make(tmp_path, model=tiny.model(seed=8), **options)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == last
    assert same(parameters(resumed), parameters(trainer))
    assert resumed.evaluate()["eval_average"] == trainer.evaluate()["eval_average"]


@pytest.mark.parametrize("step", [3, 4, 6])
def test_a_run_of_epochs_goes_on_from_anywhere(tmp_path: Path, step: int) -> None:
    # Two epochs of 4 steps: in the first, between them, in the second.
    options: dict[str, Any] = {
        "max_steps": -1,
        "num_train_epochs": 2,
        "gradient_accumulation_steps": 2,
        "save_strategy": "steps",
        "save_steps": 1,
        "window_steps": 3,
        "weighting": "uw",
        "mixture": {"anneal": {}},
    }
    whole = make(tmp_path, model=tiny.model(dropout=0.1), **options)
    whole.train()
    assert whole.state.global_step == 8
    resumed = make(tmp_path / "resumed", model=tiny.model(dropout=0.1, seed=9), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{step}"))
    assert resumed.state.global_step == 8
    assert same(parameters(resumed), parameters(whole))
    assert records(resumed, "loss") == records(whole, "loss")


@pytest.mark.parametrize(("size", "accumulation"), [(4, 2), (2, 4)])
def test_a_resumed_run_keeps_its_rows_per_step(tmp_path: Path, size: int, accumulation: int) -> None:
    options: dict[str, Any] = {"optim": "sgd", "learning_rate": 0.05, "save_strategy": "steps", "save_steps": 2}
    whole = make(tmp_path, **options)
    whole.train()
    batches: dict[str, Any] = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulation}
    resumed = make(tmp_path / "resumed", **options, **batches)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert resumed.course.rows_per_step == 8
    assert resumed.args.gradient_accumulation_steps == 8 // size
    assert records(resumed, "loss") == pytest.approx(records(whole, "loss"), rel=1e-5)
    assert records(resumed, "share/mood") == records(whole, "share/mood")


def test_a_run_resumed_after_it_stopped_early_stays_stopped_until_it_has_more_patience(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "max_steps": 9,
        "learning_rate": 0.0,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_strategy": "steps",
        "save_steps": 1,
        "metric_for_best_model": "average",
        "early_stopping_patience": 2,
    }
    make(tmp_path, **options).train()
    for patience, last in ((2, 3), (4, 5)):
        resumed = make(tmp_path, **{**options, "early_stopping_patience": patience})
        resumed.train(resume_from_checkpoint=True)
        assert resumed.state.global_step == last


def test_a_run_may_begin_to_stop_early_where_it_is_resumed(tmp_path: Path) -> None:
    every = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    make(tmp_path, max_steps=1, learning_rate=0.0, **every).train()
    stops = {"early_stopping_patience": 1, "metric_for_best_model": "average"}
    resumed = make(tmp_path, max_steps=9, learning_rate=0.0, **every, **stops)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 3
    assert "EarlyStoppingCallback" in (tmp_path / "checkpoint-3" / "trainer_state.json").read_text()


def test_a_damaged_checkpoint_given_by_path_is_refused(tmp_path: Path) -> None:
    make(tmp_path, save_strategy="steps", save_steps=2).train()
    damaged = tmp_path / "checkpoint-4" / "optimizer.pt"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    trainer = make(tmp_path)
    before = parameters(trainer)
    with pytest.raises(CheckpointError, match=r"checkpoint-4/optimizer\.pt: damaged"):
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert same(parameters(trainer), before)


def test_another_seed_or_other_tasks_are_refused_with_what_differs(tmp_path: Path) -> None:
    make(tmp_path, save_strategy="steps", save_steps=2).train()
    with pytest.raises(CheckpointError, match="seed is 7, the checkpoint has 42"):
        make(tmp_path, seed=7).train(resume_from_checkpoint=True)
    fewer = {name: tiny.TASKS[name] for name in ("topic", "mood")}
    data = tiny.datasets({"topic": 30, "mood": 12})
    trainer = make(tmp_path, model=tiny.model(tasks=fewer), train=data, evaluation=data)
    with pytest.raises(CheckpointError, match="tasks is .*, the checkpoint has .*'score': 18"):
        trainer.train(resume_from_checkpoint=True)


SAVES: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2}
OTHERS: list[tuple[dict[str, Any], str]] = [
    ({"adam_beta2": 0.9}, "training.adam_beta2: is 0.9, in the run it is 0.999"),
    ({"max_grad_norm": 5.0}, "training.max_grad_norm: is 5.0, in the run it is 1.0"),
    ({"warmup_steps": 2}, "training.warmup_steps: is 2, in the run it is 0"),
    ({"data": {"contamination": "drop"}}, "data.contamination: is 'drop', in the run it is 'warn'"),
    ({"mixture": {"cap": 9}}, "mixture.cap: is 9, in the run it is None"),
    (
        {"mixture": {"proportions": {"topic": 1, "mood": 1, "score": 2}}},
        "mixture.proportions: is {'mood': 1.0, 'score': 2.0, 'topic': 1.0}, in the run it is None",
    ),
    ({"balancing": {"exposure": "tasks"}}, "balancing.exposure: is 'tasks', in the run it is 'rows'"),
    ({"per_device_train_batch_size": 4}, "gives, with accumulation, 4 rows per step; the run has 8"),
]


def test_what_makes_another_run_is_refused_and_the_rest_may_change(tmp_path: Path) -> None:
    make(tmp_path, **SAVES).train()
    for options, said in OTHERS:
        with pytest.raises(CheckpointError, match=re.escape(said)):
            make(tmp_path, **options).train(resume_from_checkpoint=True)
    for kind in ("train", "evaluation"):
        data = tiny.datasets(SMALL, seed=0 if kind == "train" else 1)
        data["mood"] = data["mood"].select(range(len(data["mood"]))[::-1])
        with pytest.raises(CheckpointError, match="the rows of 'mood' are not those that the run was begun with"):
            make(tmp_path, **{kind: data}).train(resume_from_checkpoint=True)
    # Said otherwise, it is the same: defaults, and the name of a method with its options.
    same_options = {"mixture": {"temperature": 2.0}, "balancing": {"weighting": {"name": "ew"}}, "data_seed": 42}
    changes = {"logging_steps": 2, "eval_strategy": "steps", "eval_steps": 3, "save_steps": 3, "max_steps": 6}
    resumed = make(tmp_path, **same_options, **{**SAVES, **changes})
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    found = [record for record in resumed.state.log_history if record["step"] > 2]
    for key, steps in (("loss", [4, 6]), ("eval_loss", [3, 6])):
        assert [record["step"] for record in found if key in record] == steps, "what may change takes effect"
    saved = {path.name for path in tmp_path.glob("checkpoint-*")}
    assert saved == {f"checkpoint-{step}" for step in (2, 4, 3, 6)}


class Limit(TrainerCallback):
    """Stops after a step, as at a limit of time."""

    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = state.global_step == self.step


def test_a_run_that_was_told_to_stop_goes_on_in_the_same_bits(tmp_path: Path) -> None:
    options = {**SAVES, "save_steps": 1, "max_steps": 5}
    whole = make(tmp_path / "whole", **options)
    whole.train()
    make(tmp_path / "stopped", callbacks=[Limit(3)], **options).train()
    resumed = make(tmp_path / "stopped", **options)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 5
    assert same(parameters(resumed), parameters(whole))


def test_another_process_of_a_finished_run_does_not_take_itself_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one has written the state; the others would write every record of the log a second time."""
    make(tmp_path, **SAVES).train()
    monkeypatch.setattr(MultiTaskTrainer, "is_world_process_zero", lambda self: False)
    resumed = make(tmp_path, **SAVES)
    resumed.train(resume_from_checkpoint=True)
    assert not resumed.state.is_world_process_zero


def test_a_longer_run_says_what_goes_by_its_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = {"type": "mt2st_switch", "main": "topic", "at": 0.5}
    options = {**SAVES, "schedules": [switch, {"type": "alternating", "period": 3}], "mixture": {"anneal": {}}}
    make(tmp_path, **options).train()
    said: list[str] = []
    monkeypatch.setattr("hf_mtl.training.trainer.horizon.logger.warning", said.append)
    make(tmp_path, **options, max_steps=6).train(resume_from_checkpoint=True)
    assert said == [
        "The run was planned for 4 steps, and now has 6: the learning rate (linear), mixture.anneal, schedules.0 "
        "('mt2st_switch') go by its length, and from here on are those of a run of 6 steps."
    ]


def test_another_weighting_is_refused(tmp_path: Path) -> None:
    make(tmp_path, weighting="uw", save_strategy="steps", save_steps=2).train()
    with pytest.raises(CheckpointError, match="weighting"):
        make(tmp_path, weighting="ew").train(resume_from_checkpoint=True)


def test_without_a_saved_schedule_the_learning_rate_goes_on_where_it_was(tmp_path: Path) -> None:
    """As after `save_only_model`: it used to begin anew, at its peak, and never came down."""
    saving: dict[str, Any] = {"save_strategy": "steps", "save_steps": 3, "save_only_model": True, "max_steps": 6}
    rates = []
    for start in (None, str(tmp_path / "checkpoint-3")):
        trainer = make(tmp_path, head_learning_rate=1e-2, **saving)
        trainer.train(resume_from_checkpoint=start)
        rates.append({log["step"]: log["learning_rate"] for log in trainer.state.log_history if "loss" in log})
    assert rates[0] == rates[1]
    assert rates[0][6] == pytest.approx(1e-3 / 6)
