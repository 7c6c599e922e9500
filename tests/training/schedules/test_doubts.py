"""What a run has no time for, or no device for, is said once when the Trainer is made."""

import re
from pathlib import Path
from typing import Any

import pytest

from hf_mtl.training.schedules import doubts
from tests import tiny
from tests.training.trainers import make

EVALUATED = {"eval_strategy": "steps", "eval_steps": 10}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(doubts.logger, "warning", lines.append)
    return lines


def schedule(name: str, **options: Any) -> dict[str, Any]:
    return {"schedules": [{"type": name, **options}]}


ANNEAL, LEARN = {"mixture": {"anneal": {"end": 3.0}}}, {"mixture": {"learn": {"every": 30}}}
ONE_IN_TWENTY = {"temperature": {"topic": 1.0, "mood": 3.0, "score": 1.0}}
LATE = {"task": "mood", "at": {"step": 40}}

SHORT: dict[str, tuple[dict[str, Any], str]] = {
    "no second window": (ANNEAL, "mixture.anneal: moves the temperature every 50 steps .* from 1 to 1, not to 3"),
    "begins late": (
        {"mixture": {"anneal": {"begin": 0.9}}, "window_steps": 10},
        "mixture.anneal: moves .* from 1 to 1, not to 5",
    ),
    "learned": (LEARN, "mixture.learn: moves a temperature for the first time at step 50, .* ends after 40"),
    "learned, reference": (
        {"mixture": {"learn": {"every": 1}}, "window_steps": 5, "max_steps": 20},
        "mixture.learn: moves a temperature for the first time at step 20, .* ends after 20",
    ),
    "learned by gradients": (
        {"mixture": {"learn": {"objective": "pike", "every": 30}}},
        "mixture.learn: moves the mixture for the first time at step 50, .* ends after 40",
    ),
    "enter": (schedule("enter", **LATE), r"schedules: 'mood' takes part in none of the 40 steps \(enter\)"),
    "left at once": (schedule("leave", task="mood", at=0), "schedules: 'mood' takes part in none"),
    "leave": (schedule("leave", **LATE), r"schedules\.0: 'leave': mood never leaves, that is at step 40"),
    "rise": (
        schedule("warmup", task="mood", at={"step": 80}),
        "coefficient of mood rises to 0.5 only, to 1 at step 80",
    ),
    "switch": (schedule("mt2st_switch", main="mood", at={"epoch": 50}), "'mt2st_switch': never switches, .* step "),
    "alternating": (schedule("alternating", period=40), "'alternating': the encoder is never trained"),
    "adaptive": (
        {**schedule("mt2st_adaptive", main="mood", every=40), "window_steps": 10},
        "'mt2st_adaptive': measures once, before the first step, and then every 40 steps",
    ),
    "one window": (
        schedule("mt2st_adaptive", main="mood", signal="variance"),
        r"schedules\.0: 'mt2st_adaptive' acts where a window of 50 steps begins, and the run has one window",
    ),
    "feedback": (
        {**schedule("mt2st_feedback", main="mood", patience=4), **EVALUATED, "window_steps": 5},
        "'mt2st_feedback' needs 5 checks to act, and the run has 4",
    ),
    "stopping": (
        {**schedule("task_early_stopping", patience=4), **EVALUATED, "window_steps": 5},
        "'task_early_stopping' needs 5 checks to act, and the run has 4",
    ),
    "feedback of training": (
        {**schedule("mt2st_feedback", main="mood", signal="training"), "window_steps": 20},
        "'mt2st_feedback' needs 3 checks to act, and the run has 1",
    ),
    "main task": (
        {"balancing": {"weighting": None, "aggregator": {"name": "pcd", "main": "mood"}}, "mixture": ONE_IN_TWENTY},
        "balancing.aggregator: has 'mood' for its main task, of which a step has 0.36 rows on average",
    ),
    "main task, in the end": (
        {
            "balancing": {"weighting": None, "aggregator": {"name": "pcd", "main": "mood"}},
            "mixture": {"anneal": {"start": 1.0, "end": 0.3}},
            "window_steps": 10,
        },
        "balancing.aggregator: has 'mood' for its main task, of which a step has 0.3",
    ),
    "learning rate": ({"warmup_steps": 40}, r"training\.warmup_steps: takes 40 steps, and the run has 40"),
    "fp16": ({"fp16": True}, r"training\.fp16: is on, and a CPU trains in float32\. Set bf16"),
}

LONG: dict[str, dict[str, Any]] = {
    "anneal": {**ANNEAL, "window_steps": 10},
    "learned": {**LEARN, "window_steps": 15},
    "learned by gradients": {"mixture": {"learn": {"objective": "pike", "every": 30}}, "window_steps": 15},
    "enter": schedule("enter", task="mood", at={"step": 39}),
    "leave": schedule("leave", task="mood", at={"step": 39}),
    "rise": schedule("warmup", task="mood", at={"step": 40}),
    "switch": schedule("mt2st_switch", main="mood"),
    "alternating": schedule("alternating", period=20),
    "adaptive": {**schedule("mt2st_adaptive", main="mood", every=20), "window_steps": 20},
    "feedback": {**schedule("mt2st_feedback", main="mood", patience=3), **EVALUATED, "window_steps": 5},
    "main task": {"balancing": {"weighting": None, "aggregator": {"name": "pcd", "main": "mood"}}},
    "main task in every step": {
        "balancing": {"weighting": None, "aggregator": {"name": "pcd", "main": "mood"}},
        "mixture": {**ONE_IN_TWENTY, "min_per_task": 1},
    },
    "learning rate": {"warmup_steps": 39},
    "bf16": {"bf16": True},
    "nothing": {},
}


@pytest.mark.parametrize("case", SHORT)
def test_what_a_run_does_not_get_to_is_said_once(tmp_path: Path, said: list[str], case: str) -> None:
    options, expected = SHORT[case]
    make(tmp_path, **{"max_steps": 40, **options})
    assert len(said) == 1
    assert re.search(expected, said[0]), said[0]


@pytest.mark.parametrize("case", LONG)
def test_nothing_is_said_of_what_it_does_get_to(tmp_path: Path, said: list[str], case: str) -> None:
    make(tmp_path, **{"max_steps": 40, **LONG[case]})
    assert said == []


def test_a_head_that_only_warms_up_is_named(tmp_path: Path, said: list[str]) -> None:
    head = {"type": "vmtl", "warmup_steps": 4}
    make(tmp_path, model=tiny.model(head=head), max_steps=5)
    assert said == []
    make(tmp_path, model=tiny.model(head=head), max_steps=4)
    assert [line.split(":")[0] for line in said] == [f"tasks.{task}.head.warmup_steps" for task in tiny.TASKS]
