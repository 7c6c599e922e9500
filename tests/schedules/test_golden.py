"""The schedules against reference values."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_mtl.schedules import Run
from hf_mtl.schedules.alternating import Alternating
from hf_mtl.schedules.mt2st_adaptive import inverse_weights, proportional_weights
from hf_mtl.schedules.mt2st_diminish import MT2STDiminish
from hf_mtl.schedules.mt2st_feedback import MT2STFeedback
from hf_mtl.schedules.mt2st_switch import MT2STSwitch

GOLDEN = Path(__file__).parents[1] / "golden"


def cases(name: str) -> list[Any]:
    return [
        pytest.param(case["inputs"], case["expected"]) for case in json.loads((GOLDEN / name).read_text())["cases"]
    ]


def run(total: int) -> Run:
    return Run(("main", "other"), total_steps=total, steps_per_epoch=10)


@pytest.mark.parametrize(("inputs", "expected"), cases("schedule_diminish.json"))
def test_diminish(inputs: dict[str, Any], expected: dict[str, Any]) -> None:
    schedule = MT2STDiminish(
        main="main", gamma0=inputs["gamma0"], eta=inputs["eta"], nu=inputs["nu"], floor=inputs["cutoff"]
    )
    found = [schedule.effect(round(s * 1000), run(1000)).coefficients for s in inputs["progress"]]
    assert [value[0] for value in found] == [1.0] * len(found)
    assert [value[1] for value in found] == pytest.approx(expected["gamma"], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("inputs", "expected"), cases("schedule_switch.json"))
def test_switch(inputs: dict[str, Any], expected: dict[str, Any]) -> None:
    schedule, whole = MT2STSwitch(main="main", at=inputs["switch_fraction"]), run(inputs["total_steps"])
    active = [bool(schedule.effect(step, whole).coefficients[1] > 0) for step in range(whole.total_steps)]
    assert active == expected["auxiliary_active"]
    assert active.index(False) == expected["first_single_task_step"]


@pytest.mark.parametrize(("inputs", "expected"), cases("schedule_alternating.json"))
def test_alternating(inputs: dict[str, Any], expected: dict[str, Any]) -> None:
    schedule = Alternating(period=inputs["period"])
    frozen = [schedule.effect(step, run(inputs["steps"])).frozen for step in range(inputs["steps"])]
    phases = ["head" if group == {"encoder"} else "encoder" for group in frozen]
    assert phases[:20] == expected["phase_first_20"][: len(phases)]
    assert (phases.count("head"), phases.count("encoder")) == (expected["head_steps"], expected["encoder_steps"])
    assert [i for i in range(1, len(phases)) if phases[i] != phases[i - 1]] == expected["switch_steps"]


@pytest.mark.parametrize(("inputs", "expected"), cases("schedule_feedback.json"))
def test_feedback(inputs: dict[str, Any], expected: dict[str, Any]) -> None:
    assert inputs["min_delta_abs"] == 0  # only the relative change is an option
    schedule = MT2STFeedback(
        main="main",
        action=inputs["action"],
        patience=inputs["patience"],
        min_delta=inputs["min_delta_rel"],
        factor=inputs["factor"],
        warmup_checks=inputs["warmup_checks"],
        floor=0.0,
    )
    acted, multipliers = [], []
    for index, loss in enumerate(inputs["primary_losses"]):
        if schedule.check(loss):
            acted.append(index)
        multipliers.append(schedule.multiplier)
    assert acted == expected["trigger_indices"]
    assert multipliers == pytest.approx(expected["multiplier_after_check"], abs=1e-12)


@pytest.mark.parametrize(("inputs", "expected"), cases("schedule_adaptive.json"))
def test_adaptive(inputs: dict[str, Any], expected: dict[str, Any]) -> None:
    budget = inputs["lambda"]
    found = {
        "inverse_norm": inverse_weights(np.array(inputs["auxiliary_gradient_norms"]), budget),
        "fisher": proportional_weights(np.array(inputs["fisher_traces"]), budget),
        "variance": inverse_weights(np.array(inputs["variances"]), budget),
    }
    for name, weights in found.items():
        assert weights.tolist() == pytest.approx(expected[name], rel=1e-7, abs=1e-12)
        assert weights.sum() == pytest.approx(budget)
