"""Cost of a schedule, against the golden values of MT2ST's accounting."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_mtl.schedules import Run, build_schedule, compression_rate, executed_cost, nominal_cost

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/schedule_flops.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_costs_equal_the_golden_values(case: dict[str, Any]) -> None:
    given, expected = case["inputs"], case["expected"]
    costs = given["primary_cost"], given["auxiliary_costs"], given["gamma"]
    single = given["primary_cost"] * len(given["gamma"])
    assert nominal_cost(*costs) == pytest.approx(expected["nominal_eq20"], rel=GOLDEN["rtol"])
    executed = executed_cost(*costs)
    assert executed == pytest.approx(expected["executed"], rel=GOLDEN["rtol"])
    same, double = (compression_rate(executed, times * single) for times in (1, 2))
    assert same == pytest.approx(expected["compression_executed_vs_stl_same_steps"], rel=GOLDEN["rtol"])
    assert double == pytest.approx(expected["compression_executed_vs_stl_double_steps"], rel=GOLDEN["rtol"])


def test_sampling_costs_in_expectation_what_the_paper_prints() -> None:
    schedule = build_schedule({"type": "mt2st_diminish", "main": "a", "realise": "sampling"}, ["a", "b"])
    effects = [schedule.effect(step, Run(("a", "b"), 1000, 100)) for step in range(1000)]
    shares = np.array([[effect.participation[1]] for effect in effects])
    drawn = np.random.default_rng(0).random(shares.shape) < shares
    # The number of steps with b is about 200, with a standard deviation of about 10.
    assert executed_cost(2.0, [3.0], drawn) == pytest.approx(nominal_cost(2.0, [3.0], shares), abs=3 * 40)
    assert nominal_cost(2.0, [3.0], shares) == pytest.approx(2000 + 3 * 1000 * (1 - np.exp(-5)) / 5, rel=0.01)
