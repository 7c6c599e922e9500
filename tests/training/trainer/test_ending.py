"""How a run ended is known, and said where nobody would expect it."""

import math
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from hf_mtl import MultiTaskTrainingArguments
from hf_mtl.evaluation import metric_keys
from hf_mtl.training.trainer.ending import Ending
from tests.training.trainers import make, records


class StopAt(TrainerCallback):
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = state.global_step >= 2


@pytest.mark.parametrize(
    ("options", "callbacks", "expected"),
    [
        ({}, [], Ending(4, 4, 4, "all_steps")),
        ({"max_steps": -1, "num_train_epochs": 0.4}, [], Ending(4, 4, 4, "all_steps")),
        ({"max_backward_passes": 3}, [], Ending(3, 3, 3, "all_steps")),
        ({"max_flops": 1.0}, [], Ending(1, 1, 4, "max_flops")),
        ({}, [StopAt()], Ending(2, 2, 4, "callback")),
    ],
)
def test_the_end_of_a_run_has_a_reason(
    tmp_path: Path, options: dict[str, Any], callbacks: list[TrainerCallback], expected: Ending
) -> None:
    trainer = make(tmp_path, callbacks=callbacks, **options)
    trainer.train()
    assert trainer.ending == expected
    assert bool(expected.sentences()) == (expected.ended_by != "all_steps")


def test_more_steps_than_were_asked_for_last_are_said() -> None:
    assert Ending(57, 57, 50, "all_steps").sentences() == [
        "57 steps were trained before, more than the 50 asked for last."
    ]


def test_the_best_step_may_have_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 1, "save_steps": 2}
    scores = iter([0.1, 0.2, 0.9, 0.3])
    trainer = make(tmp_path, load_best_model_at_end=True, metric_for_best_model="average", **options)
    judge = trainer._determine_best_metric
    monkeypatch.setattr(trainer, "_determine_best_metric", lambda **_: judge({"eval_average": next(scores)}, None))
    trainer.train()
    assert trainer.ending is not None
    assert trainer.ending.step == 2
    assert trainer.ending.sentences() == [
        "The model of step 2 is kept; that of step 3 was the best one, average 0.9000, but its checkpoint was "
        "never saved or is gone: save as often as you evaluate."
    ]


def test_a_finished_run_that_is_resumed_ends_as_it_did(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "max_steps": 9,
        "learning_rate": 0.0,
        "eval_strategy": "steps",
        "save_strategy": "steps",
        "eval_steps": 1,
        "save_steps": 1,
        "load_best_model_at_end": True,
        "metric_for_best_model": "average",
        "early_stopping_patience": 2,
    }
    first = make(tmp_path, **options)
    first.train()
    again = make(tmp_path, **options)
    again.train(resume_from_checkpoint=True)
    assert again.ending == first.ending
    assert first.ending is not None
    assert (first.ending.step, first.ending.trained_steps, first.ending.ended_by) == (1, 3, "early_stopping")


@pytest.mark.filterwarnings("ignore")
def test_a_score_that_is_never_defined_is_no_best_one_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("hf_mtl.training.scoring.best_score.logger.warning_once", said.append)
    monkeypatch.setattr("hf_mtl.training.trainer.trainer.logger.warning", said.append)
    monkeypatch.setattr(
        "hf_mtl.training.scoring.scoring.score_task", lambda task, *_: dict.fromkeys(metric_keys(task), math.nan)
    )
    options = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    best = {"metric_for_best_model": "average", "load_best_model_at_end": True, "early_stopping_patience": 2}
    trainer = make(tmp_path, **options, **best)
    trainer.train()
    assert said[0].startswith("average is undefined (nan) at step 1, which counts as no better")
    assert said[-1] == (
        "Training ended after step 3 of 4: early stopping, as average did not get better. average was undefined in "
        "every evaluation, so the last step's model is kept."
    )


def test_skipped_steps_are_counted_at_the_end() -> None:
    ending = Ending(6, 6, 6, "all_steps", skipped_steps=5)
    assert ending.sentences() == ["5 of 6 steps were skipped: gradients were not finite."]
    assert ending.to_dict()["skipped_steps"] == 5


# ---- How often a run logs by default ----


@pytest.mark.parametrize(("steps", "every"), [(3, 1), (45, 2), (12_000, 500)])
def test_a_run_logs_about_twenty_records_by_default(tmp_path: Path, steps: int, every: int) -> None:
    stop = StopAt()
    trainer = make(tmp_path, logging_steps=None, max_steps=steps, callbacks=[stop])
    trainer.train()
    assert trainer.state.logging_steps == every
    assert len(records(trainer, "loss")) == (2 if every == 1 else 1 if every == 2 else 0)


def test_what_is_asked_for_is_logged_and_evaluations_keep_their_default(tmp_path: Path) -> None:
    trainer = make(tmp_path, logging_steps=0.5)
    trainer.train()
    assert len(records(trainer, "loss")) == 2
    args = MultiTaskTrainingArguments(str(tmp_path), eval_strategy="steps", report_to="none", use_cpu=True)
    assert (args.logging_steps, args.eval_steps, args.save_steps) == (None, 500, 500)
