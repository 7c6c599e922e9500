"""What schedules cannot do in a run is said when the Trainer is made."""

from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import UserError
from tests import tiny
from tests.training.trainers import make

ALTERNATING = {"type": "alternating", "period": 2}
FEEDBACK = {"type": "mt2st_feedback", "main": "topic"}
EVALUATED: dict[str, Any] = {"eval_strategy": "steps", "eval_steps": 2}


def refused(folder: Path, **options: Any) -> list[str]:
    with pytest.raises(UserError) as caught:
        make(folder, **options)
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.mark.parametrize("part", [{"freeze": "encoder"}, {"head": "stl_cnn"}])
def test_phases_of_a_frozen_encoder_are_refused(tmp_path: Path, part: dict[str, Any]) -> None:
    [said] = refused(tmp_path, model=tiny.model(**part), schedules=["alternating"])
    assert said.startswith("schedules.0: 'alternating' alternates, and nothing of the encoder is trained. ")


def test_schedules_that_together_freeze_everything_are_refused_with_the_step(tmp_path: Path) -> None:
    # The pooled output comes from the last of two layers: nothing lies above them.
    model = tiny.model(pooling="mean", head="linear")
    switch = {"type": "mt2st_switch", "main": "topic", "at": 0.5, "freeze": 2}
    [said] = refused(tmp_path, model=model, max_steps=8, schedules=[ALTERNATING, switch])
    assert said.startswith("schedules: nothing is trained in step 6: alternating, mt2st_switch freeze 2 and heads. ")
    make(tmp_path, model=model, max_steps=8, schedules=[ALTERNATING, {**switch, "freeze": 1}])


def test_more_layers_than_there_are_cannot_be_frozen(tmp_path: Path) -> None:
    switch = {"type": "mt2st_switch", "main": "topic", "freeze": 3}
    [said] = refused(tmp_path, schedules=[ALTERNATING, switch])
    assert said.startswith("schedules.1.freeze: found 3, and the backbone has 2 layers. ")


def test_a_step_without_any_task_is_refused(tmp_path: Path) -> None:
    schedules = [{"type": "enter", "task": task, "at": {"step": 2}} for task in tiny.TASKS]
    [said] = refused(tmp_path, schedules=schedules)
    assert said == "schedules: no task takes part in step 0 (enter, enter, enter). Let one of them stay."


def test_what_follows_evaluations_needs_them(tmp_path: Path) -> None:
    found = refused(tmp_path, schedules=[ALTERNATING, FEEDBACK], mixture={"learn": {"objective": "worst"}})
    assert [said.split(":")[0] for said in found] == ["schedules.1", "mixture.learn.objective"]
    assert "follows the validation loss of 'topic', which is never evaluated" in found[0]
    assert "Set training.eval_strategy" in found[0]
    late = {**EVALUATED, "eval_steps": 10**6}
    for said in refused(tmp_path, schedules=[FEEDBACK], mixture={"learn": {"objective": "worst"}}, **late):
        assert "with eval_steps that the run reaches" in said
    some = {name: rows for name, rows in tiny.datasets().items() if name != "topic"}
    [said] = refused(tmp_path, schedules=[FEEDBACK], evaluation=some, **EVALUATED)
    assert said.startswith("schedules.0: ")
    make(tmp_path, schedules=[FEEDBACK], mixture={"learn": {"objective": "worst"}}, **EVALUATED)
    make(tmp_path, schedules=[{**FEEDBACK, "signal": "training"}])


@pytest.mark.parametrize(
    ("strategy", "from_validation"),
    [({"eval_steps": 1}, True), ({"eval_steps": 0.1}, True), ({"eval_steps": 2}, False)],
)
def test_a_learned_temperature_follows_validation_where_there_is_enough_of_it(
    tmp_path: Path, strategy: dict[str, Any], from_validation: bool
) -> None:
    options: dict[str, Any] = {"eval_strategy": "steps", "max_steps": 10, "window_steps": 4, **strategy}
    trainer = make(tmp_path, mixture={"learn": {"every": 1}}, **options)
    trainer.train()
    assert trainer.mixture.learner is not None
    assert trainer.mixture.learner.from_validation == from_validation
    assert (trainer.mixture.learner.count == 10).all()
