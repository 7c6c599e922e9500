from typing import Any

import numpy as np
import pytest

from hf_mtl.schedules import Effect, Run, build_schedule

TASKS = ["main", "b", "c"]


RUN = Run(tuple(TASKS), total_steps=100, steps_per_epoch=20)


def effect(spec: dict[str, Any], step: int) -> Effect:
    return build_schedule(spec, TASKS).effect(step, RUN)


def coefficients(spec: dict[str, Any], *steps: int) -> list[list[float]]:
    return [effect(spec, step).coefficients.tolist() for step in steps]


def test_diminish_by_loss_fades_the_coefficient_and_by_sampling_the_participation() -> None:
    options = {"type": "mt2st_diminish", "main": "main", "gamma0": 0.5, "eta": 2.0}
    by_loss, by_sampling = effect(options, 50), effect({**options, "realise": "sampling"}, 50)
    share = np.exp(-2.0 * 0.5)
    assert by_loss.coefficients.tolist() == pytest.approx([1, 0.5 * share, 0.5 * share])
    assert by_loss.participation.tolist() == [1, 1, 1]
    assert by_sampling.coefficients.tolist() == [1, 0.5, 0.5]
    assert by_sampling.participation.tolist() == pytest.approx([1, share, share])
    # In expectation both weigh the same.
    np.testing.assert_allclose(by_loss.coefficients, by_sampling.coefficients * by_sampling.participation)


@pytest.mark.parametrize("realise", ["loss", "sampling"])
def test_diminish_drops_a_task_below_its_floor(realise: str) -> None:
    options = {"type": "mt2st_diminish", "main": "main", "eta": 10.0, "floor": 0.05, "realise": realise}
    assert coefficients(options, 29)[0][1] > 0
    assert coefficients(options, 30) == [[1, 0, 0]]


def test_the_step_that_diminish_names_is_the_first_without_the_other_tasks() -> None:
    options = {"type": "mt2st_diminish", "main": "main", "eta": 10.0}
    assert coefficients(options, 46)[0][1] > 0
    assert coefficients(options, 47) == [[1, 0, 0]]
