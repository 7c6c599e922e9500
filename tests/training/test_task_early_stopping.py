"""Runs whose tasks leave one by one: rows, heads, the end, resumes."""

import json
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor
from transformers import TrainerCallback

from hf_mtl import MultiTaskTrainer
from hf_mtl.errors import UserError
from hf_mtl.training.schedules.scheduling import Scheduling
from tests import tiny
from tests.modeling.families import some_fast
from tests.training import runs
from tests.training.trainers import make, parameters, records, same
from tests.training.watching import heads_of

STOPPING: dict[str, Any] = {"type": "task_early_stopping", "patience": 1}
# By step of the evaluation: mood is best at 2 and stops at 4, score at 4 and 6; topic gets better all the time.
SCORES = {
    "mood": {2: 0.5, 4: 0.4},
    "score": {2: 0.1, 4: 0.5, 6: 0.4},
    "topic": {2: 0.1, 4: 0.2, 6: 0.3, 8: 0.4, 10: 0.5, 12: 0.6, 14: 0.7},
}
OPTIONS: dict[str, Any] = {
    "schedules": [STOPPING],
    "max_steps": 10,
    "window_steps": 5,
    "eval_strategy": "steps",
    "eval_steps": 2,
    "optim": "adamw_torch",
    "learning_rate": 1e-2,
    "weight_decay": 0.1,
}

STOPS = [(step, head) for step in (2, 4, 6, 8) for head in ("linear", "vip")]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[int, float]]:
    """The tasks' first metrics, which are those of the script where it has one."""
    ordinary, scores = Scheduling.observe_evaluation, {name: dict(its) for name, its in SCORES.items()}
    keys = {"topic": "f1_macro", "mood": "f1_macro", "score": "pearson"}

    def observe(self: Scheduling, step: int, metrics: dict[str, float]) -> None:
        told = {f"eval_{name}_{keys[name]}": its.get(step, 0.0) for name, its in scores.items()}
        ordinary(self, step, {**metrics, **told})

    monkeypatch.setattr(Scheduling, "observe_evaluation", observe)
    return scores


class Watch(TrainerCallback):
    """Keeps the parameters after every step."""

    def __init__(self) -> None:
        self.after: dict[int, dict[str, Tensor]] = {}

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        self.after[state.global_step] = {name: value.detach().clone() for name, value in model.named_parameters()}


def trained(folder: Path, **options: Any) -> tuple[MultiTaskTrainer, dict[int, dict[str, Tensor]]]:
    watch = Watch()
    trainer = make(folder, callbacks=[watch], **{**OPTIONS, **options})
    trainer.train()
    return trainer, watch.after


def is_head_of(after: dict[str, Tensor], task: str, then: dict[str, Tensor]) -> bool:
    return same(heads_of(after, task), heads_of(then, task))


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize("freed_rows", ["redistribute", "drop"])
def test_a_task_that_has_stopped_leaves_at_the_next_window_with_its_best_head(
    tmp_path: Path, freed_rows: str, caplog: pytest.LogCaptureFixture
) -> None:
    trainer, after = trained(tmp_path, schedules=[{**STOPPING, "freed_rows": freed_rows}])
    shares = records(trainer, "share/mood")
    assert min(shares[:5]) > 0, "until the window ends it trains on"
    assert shares[5:] == [0.0] * 5
    assert not is_head_of(after[5], "mood", after[2])
    for step in range(6, 11):
        assert is_head_of(after[step], "mood", after[2])
    plans = [trainer.steps.plan(step).counts for step in range(5, 10)]
    assert any(counts.sum() < 8 for counts in plans) == (freed_rows == "drop")
    assert "mood takes no part from step 6 on: it got no better after step 2, and its head is that of step 2" in (
        caplog.text
    )
    # What has stopped, but whose window has not ended, goes back to its best head with the run.
    assert not is_head_of(after[10], "score", after[4])
    assert is_head_of(parameters(trainer), "score", after[4])
    assert is_head_of(parameters(trainer), "mood", after[2])
    assert is_head_of(parameters(trainer), "topic", after[10])
    assert trainer.ending is not None
    assert trainer.ending.to_dict()["stopped_tasks"] == {
        "mood": {"step": 4, "best_step": 2},
        "score": {"step": 6, "best_step": 4},
    }
    assert "mood had stopped after step 4, no better than at step 2." in trainer.ending.sentences()
    assert trainer.ending.ended_by == "all_steps"


def test_a_run_ends_when_its_last_task_stops(tmp_path: Path, scripted: dict[str, dict[int, float]]) -> None:
    scripted["topic"][8] = 0.3
    trainer, after = trained(tmp_path)
    assert trainer.state.global_step == 8
    assert trainer.ending is not None
    assert trainer.ending.ended_by == "task_early_stopping"
    assert "Training ended after step 8 of 10: every task had stopped getting better." in trainer.ending.sentences()
    for task, best in (("mood", 2), ("score", 4), ("topic", 6)):
        assert is_head_of(parameters(trainer), task, after[best])
    anew = parameters(trainer)
    trainer.train()  # a run of its own, from these weights: nothing has stopped in it
    assert min(records(trainer, "share/mood")[:5]) > 0
    assert not same(anew, parameters(trainer))


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize(("step", "head"), some_fast(STOPS, (6, "linear"), (4, "vip")))
def test_a_run_resumed_at_any_checkpoint_ends_in_the_same_bits(tmp_path: Path, step: int, head: str) -> None:
    saving: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2}
    whole = make(tmp_path, model=tiny.model(dropout=0.1, head=head), **OPTIONS, **saving)
    whole.train()
    resumed = make(tmp_path / "resumed", model=tiny.model(dropout=0.1, head=head, seed=9), **OPTIONS, **saving)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{step}"))
    assert same(parameters(resumed), parameters(whole))
    assert same(dict(resumed.model.named_buffers()), dict(whole.model.named_buffers()))
    assert records(resumed, "loss") == records(whole, "loss")
    assert resumed.ending == whole.ending


def test_a_run_that_all_tasks_have_ended_stays_ended(tmp_path: Path, scripted: dict[str, dict[int, float]]) -> None:
    scripted["topic"][8] = 0.3
    saving: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2}
    first, _ = trained(tmp_path, **saving)
    again = make(tmp_path, model=tiny.model(seed=9), **OPTIONS, **saving)
    again.train(resume_from_checkpoint=True)
    assert (again.state.global_step, again.ending) == (8, first.ending)
    assert same(parameters(again), parameters(first))


@pytest.mark.usefixtures("scripted")
def test_with_the_best_model_its_own_heads_are_kept(tmp_path: Path) -> None:
    """They are what its score is of: mood's is the best one, since it had left; score's had not."""
    options: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2, "load_best_model_at_end": True}

    def falls(prediction: Any, task: str) -> dict[str, float]:
        return {"falls": abs(trainer.state.global_step - 6.0)} if task == "topic" else {}

    options |= {"metric_for_best_model": "topic_falls", "greater_is_better": False}
    watch = Watch()
    trainer = make(tmp_path, callbacks=[watch], compute_metrics=falls, **OPTIONS, **options)
    trainer.train()
    assert trainer.ending is not None
    assert trainer.ending.step == 6
    assert same(parameters(trainer), watch.after[6])
    assert is_head_of(parameters(trainer), "mood", watch.after[2])
    assert not is_head_of(parameters(trainer), "score", watch.after[4])


@pytest.mark.usefixtures("scripted")
def test_a_shared_head_learns_on_and_is_not_put_back(tmp_path: Path) -> None:
    shared = {"share": "x", "type": "linear"}
    tasks = {
        "topic": tiny.TASKS["topic"],
        "mood": tiny.TASKS["mood"].model_copy(update={"head": shared}),
        "twin": tiny.TASKS["mood"].model_copy(update={"head": shared}),
    }
    rows = {name: tiny.rows("mood" if name == "twin" else name, 20, seed=3) for name in tasks}
    only = [{**STOPPING, "tasks": ["mood"]}]
    watch, options = Watch(), {**OPTIONS, "schedules": only}
    trainer = make(tmp_path, model=tiny.model(tasks=tasks), train=rows, evaluation=rows, callbacks=[watch], **options)
    trainer.train()
    assert records(trainer, "share/mood")[5:] == [0.0] * 5
    own = [{name: value for name, value in watch.after[step].items() if "head_x" in name} for step in (5, 10)]
    assert own[0]
    assert not same(*own)
    assert same({name: parameters(trainer)[name] for name in own[1]}, own[1])


@pytest.mark.usefixtures("scripted")
def test_it_works_beside_aggregators_weightings_and_other_schedules(tmp_path: Path) -> None:
    for options in (
        {"balancing": {"aggregator": "pcgrad"}, "weighting": "uw"},
        {"mixture": {"min_per_task": 1}},
        {"mixture": {"one_task_per_step": True, "temperature": "uniform"}, "max_steps": 15},
        {"mixture": {"learn": {"objective": "dro", "every": 2}}},
        {"schedules": [STOPPING, {"type": "alternating", "period": 2}]},
    ):
        trainer, after = trained(tmp_path, **options)
        assert records(trainer, "share/mood")[-5:] == [0.0] * 5
        best = trainer.schedules.stopped["mood"].best_step
        assert best is not None
        assert is_head_of(parameters(trainer), "mood", after[best])


def test_without_evaluations_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="follows validation metrics, and nothing is evaluated"):
        make(tmp_path, schedules=[STOPPING])


def test_a_recipe_says_it_trains_by_it_and_tells_who_has_stopped(tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_steps": 12, "window_steps": 3, "eval_steps": 1, "learning_rate": 0.0}
    with runs.own_cache(tmp_path):
        recipe = runs.write_recipe(tmp_path, **options, output_dir=str(tmp_path / "run"))
        runs.train(recipe, tmp_path / "run", "schedules=[{type: task_early_stopping, patience: 2}]")
        written = json.loads((tmp_path / "run" / "results.json").read_text())
        assert written["ended_by"] == "task_early_stopping"
        assert written["trained_steps"] < 12
        assert set(written["stopped_tasks"]) == {"topic", "mood", "score"}
        assert any("had stopped after step" in note for note in written["notes"])
        longer = ["schedules=[{type: task_early_stopping, patience: 2}]", "training.max_steps=40"]
        again = runs.train(recipe, tmp_path / "run", *longer, resume=True)
        assert again["trained_steps"] == written["trained_steps"]
