from typing import Any

from hf_mtl.schedules import Effect, Run, build_schedule

TASKS = ["main", "b", "c"]


RUN = Run(tuple(TASKS), total_steps=100, steps_per_epoch=20)


def effect(spec: dict[str, Any], step: int) -> Effect:
    return build_schedule(spec, TASKS).effect(step, RUN)


def coefficients(spec: dict[str, Any], *steps: int) -> list[list[float]]:
    return [effect(spec, step).coefficients.tolist() for step in steps]


def test_tasks_enter_leave_and_warm_up() -> None:
    assert coefficients({"type": "enter", "task": "b", "at": 0.5}, 49, 50) == [[1, 0, 1], [1, 1, 1]]
    assert coefficients({"type": "leave", "task": "b", "at": 0.5}, 49, 50) == [[1, 1, 1], [1, 0, 1]]
    warm = coefficients({"type": "warmup", "task": "b", "at": {"step": 4}}, 0, 1, 3, 9)
    assert [step[1] for step in warm] == [0.25, 0.5, 1.0, 1.0]
