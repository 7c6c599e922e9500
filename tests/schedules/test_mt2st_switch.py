from typing import Any

import pytest

from hf_mtl.schedules import Effect, Run, build_schedule

TASKS = ["main", "b", "c"]


RUN = Run(tuple(TASKS), total_steps=100, steps_per_epoch=20)


def effect(spec: dict[str, Any], step: int) -> Effect:
    return build_schedule(spec, TASKS).effect(step, RUN)


def coefficients(spec: dict[str, Any], *steps: int) -> list[list[float]]:
    return [effect(spec, step).coefficients.tolist() for step in steps]


@pytest.mark.parametrize(("at", "first"), [(0.6, 60), (0.601, 61), ({"step": 7}, 7), ({"epoch": 2}, 40)])
def test_switch_happens_at_a_fraction_a_step_or_an_epoch(at: Any, first: int) -> None:
    options = {"type": "mt2st_switch", "main": "b", "at": at}
    assert coefficients(options, first - 1, first) == [[1, 1, 1], [0, 1, 0]]


def test_switch_freezes_and_scales_only_afterwards() -> None:
    options = {"type": "mt2st_switch", "main": "b", "freeze": 2, "lr_scale": 0.1}
    before, after = effect(options, 59), effect(options, 60)
    assert (before.frozen, before.learning_rate_scale) == (frozenset(), 1.0)
    assert (after.frozen, after.learning_rate_scale) == ({2}, 0.1)
    assert not after.redistributed.any()
    assert effect({**options, "freed_rows": "redistribute"}, 60).redistributed.tolist() == [True, False, True]
