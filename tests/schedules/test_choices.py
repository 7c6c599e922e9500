from typing import Any

import pytest

from hf_mtl.errors import UserError
from hf_mtl.schedules import SCHEDULES, Run, build_schedule

TASKS = ["main", "b", "c"]


RUN = Run(tuple(TASKS), total_steps=100, steps_per_epoch=20)


def test_schedules_are_discovered() -> None:
    assert set(SCHEDULES.names()) >= {
        "alternating",
        "enter",
        "leave",
        "mt2st_adaptive",
        "mt2st_diminish",
        "mt2st_feedback",
        "mt2st_switch",
        "warmup",
    }


SUMMARIES: list[tuple[dict[str, Any], str]] = [
    ({"type": "alternating", "period": 20}, "20 steps of the heads, 20 of the encoder, in turn"),
    (
        {"type": "mt2st_switch", "main": "b", "freeze": 2, "lr_scale": 0.5},
        "b alone from step 60 on, 2 lowest layers frozen, learning rates x 0.5",
    ),
    ({"type": "mt2st_switch", "main": "b", "freeze": "embeddings"}, "b alone from step 60 on, embeddings frozen"),
    (
        {"type": "mt2st_diminish", "main": "b", "eta": 10.0},
        "the coefficients of all tasks but b fall until step 47, where they leave",
    ),
    (
        {"type": "mt2st_diminish", "main": "b", "eta": 2.0, "realise": "sampling"},
        "the participation of all tasks but b falls to 13.5% of their first value",
    ),
    ({"type": "enter", "task": "b", "at": {"epoch": 1}}, "b takes part from step 20 on"),
    ({"type": "leave", "task": "b", "at": 0.5}, "b leaves at step 50"),
    ({"type": "warmup", "task": "b", "at": 0.1}, "the coefficient of b rises to 1 until step 10"),
    (
        {"type": "mt2st_feedback", "main": "b", "action": "decay"},
        "all tasks but b count 0.5 times as much when its validation loss stops falling",
    ),
    ({"type": "mt2st_adaptive", "main": "b"}, "the tasks but b share a coefficient of 1 by inverse gradient norm"),
]


@pytest.mark.parametrize(("spec", "expected"), SUMMARIES, ids=[spec["type"] for spec, _ in SUMMARIES])
def test_a_schedule_says_in_a_line_what_it_will_do(spec: dict[str, Any], expected: str) -> None:
    assert build_schedule(spec, TASKS).summary(RUN) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mt2st_swich", "unknown schedule 'mt2st_swich'.*Did you mean 'mt2st_switch'"),
        ({"type": "mt2st_switch"}, "schedules.main: missing. The primary task."),
        ({"type": "mt2st_switch", "main": "mian"}, "schedules.main: unknown task 'mian'.*Did you mean 'main'"),
        ({"type": "mt2st_switch", "main": "main", "at": {}}, "schedules.at: found {}"),
        ({"type": "mt2st_switch", "main": "main", "at": {"step": 1, "epoch": 2}}, "schedules.at: found {step: 1,"),
        ({"type": "mt2st_switch", "main": "main", "at": 1.5}, "schedules.at: found 1.5"),
        ({"type": "mt2st_switch", "main": "main", "att": 0.5}, "schedules.att: unknown key 'att'.*Did you mean 'at'"),
        ({"type": "alternating", "period": 0}, "schedules.period: found 0"),
        ({"type": "enter", "task": "d", "at": 0.1}, "unknown task 'd'"),
        ({"main": "main"}, "Allowed: a name, or a mapping with type and its options"),
    ],
)
def test_wrong_schedules_say_what_is_allowed(spec: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_schedule(spec, TASKS)
