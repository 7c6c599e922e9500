import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_mtl.data.learners.base import LEARNERS
from hf_mtl.data.learners.temperature import LOG_BOUNDS, LearnedTemperature, ascent
from hf_mtl.data.mixture import Mixture
from hf_mtl.errors import UserError

CASES = json.loads((Path(__file__).parents[2] / "golden/sampler_learnable_tau_ascent.json").read_text())["cases"]
SIZES = {"large": 8000, "middle": 1000, "small": 1000}


@pytest.mark.parametrize("case", CASES)
def test_the_ascent_equals_the_golden_values(case: dict[str, Any]) -> None:
    inputs, expected = case["inputs"], case["expected"]
    sizes = np.array(inputs["sizes"])
    log_tau = np.array(inputs["log_tau"])
    for place, signal in enumerate(inputs["signals"]):
        look = ascent(np.log(sizes), log_tau, np.array(signal), sizes / sizes.sum(), inputs["kl_weight"])
        assert look.probabilities.tolist() == pytest.approx(expected["probabilities"][place], rel=1e-8)
        assert look.objective == pytest.approx(expected["objective"][place], rel=1e-8)
        assert look.gradient.tolist() == pytest.approx(expected["grad_log_tau"][place], rel=1e-8, abs=1e-12)
        log_tau = np.clip(log_tau + inputs["lr"] * look.gradient, *LOG_BOUNDS)
    assert log_tau.tolist() == pytest.approx(expected["log_tau_after"][-1], rel=1e-8)


@given(st.floats(-5, 5), st.lists(st.floats(0, 3), min_size=3, max_size=3))
def test_a_constant_added_to_all_signals_changes_nothing(constant: float, signals: list[float]) -> None:
    learner = LearnedTemperature(SIZES)
    looks = [
        ascent(learner.log_counts, learner.log_tau, np.array(signals) + shift, learner.prior, 0.5).gradient
        for shift in (0.0, constant)
    ]
    np.testing.assert_allclose(looks[0], looks[1], atol=1e-9)


def train(learner: LearnedTemperature, losses: dict[str, float], steps: int, start: int = 0) -> None:
    for step in range(start, start + steps):
        if step % 50 == 0:
            learner.begin_window(step)
        learner.observe_losses(losses)


def test_it_begins_proportional_and_waits_for_every_task() -> None:
    learner = LearnedTemperature(SIZES)
    assert learner.probabilities().tolist() == pytest.approx([0.8, 0.1, 0.1])
    train(learner, {"large": 1.0, "middle": 1.0}, 200)
    assert not learner.ready
    assert set(learner.temperatures().values()) == {1.0}


def test_dro_draws_more_of_the_task_that_improves_least() -> None:
    learner = LearnedTemperature(SIZES)
    train(learner, dict.fromkeys(SIZES, 1.0), 20)
    train(learner, {"large": 0.2, "middle": 0.2, "small": 1.0}, 5000, start=20)
    p = dict(zip(SIZES, learner.probabilities(), strict=True))
    assert p["small"] > 2 * p["middle"]
    assert p["large"] < 0.8


def test_the_literal_objective_collapses_on_the_easy_task() -> None:
    learner = LearnedTemperature({"easy": 1000, "hard": 1000}, objective="expected_loss", penalty=0.5)
    assert learner.penalty == 0
    train(learner, {"easy": 0.1, "hard": 2.0}, 5000)
    assert learner.probabilities()[0] > 0.95


def test_progress_draws_more_of_the_task_whose_loss_falls() -> None:
    learner = LearnedTemperature({"falls": 1000, "stays": 1000}, objective="progress")
    for step in range(1000):
        if step % 50 == 0:
            learner.begin_window(step)
        learner.observe_losses({"falls": 0.995**step, "stays": 1.0})
    p = learner.probabilities()
    assert p[0] > p[1]


def test_worst_draws_more_of_the_task_whose_metric_has_risen_least() -> None:
    learner = LearnedTemperature({"a": 1000, "b": 1000}, objective="worst")
    learner.observe_evaluation({}, {"a": 0.5, "b": 0.5})
    learner.observe_evaluation({}, {"a": 0.9, "b": 0.5})
    for step in range(0, 2000, 50):
        learner.begin_window(step)
    p = learner.probabilities()
    assert p[1] > p[0]


def test_temperatures_stay_in_their_range() -> None:
    learner = LearnedTemperature(SIZES, penalty=0.0, lr=100.0)
    train(learner, dict.fromkeys(SIZES, 1.0), 20)
    train(learner, {"large": 5.0, "middle": 0.1, "small": 0.1}, 500, start=20)
    assert all(0.1 - 1e-9 <= value <= 5 + 1e-9 for value in learner.temperatures().values())


def test_one_task_has_probability_one() -> None:
    learner = LearnedTemperature({"only": 30})
    train(learner, {"only": 1.0}, 200)
    assert learner.probabilities().tolist() == [1.0]


def test_its_state_continues_in_the_same_numbers() -> None:
    whole, first, second = (LearnedTemperature(SIZES) for _ in range(3))
    train(whole, {"large": 0.4, "middle": 0.9, "small": 1.0}, 500)
    train(first, {"large": 0.4, "middle": 0.9, "small": 1.0}, 230)
    second.load_state_dict(first.state_dict())
    train(second, {"large": 0.4, "middle": 0.9, "small": 1.0}, 270, start=230)
    assert second.temperatures() == whole.temperatures()
    assert set(whole.temperatures().values()) != {1.0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learn": {"objectiv": "dro"}}, "mixture.learn.objectiv: unknown key 'objectiv'"),
        ({"learn": {}, "temperature": 3.0}, "takes the place of mixture.temperature"),
        ({"learn": {}, "anneal": {}}, "mixture.learn: takes the place of mixture.anneal"),
    ],
)
def test_a_mixture_learns_one_way(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Mixture(SIZES, **options)


def test_a_mixture_gives_the_learners_probabilities() -> None:
    mixture = Mixture(SIZES, cap=2000, learn={"objective": "dro"})
    assert mixture.probabilities()["large"] == pytest.approx(0.5)
    assert mixture.learner is not None
    mixture.learner.log_tau[:] = np.log(5.0)
    assert mixture.probabilities()["large"] < 0.4


def test_a_metric_that_begins_at_zero_does_not_drown_the_others() -> None:
    learner = LearnedTemperature({"a": 1000, "b": 1000}, objective="worst")
    for value in (0.0, 0.3):
        learner.observe_evaluation({}, {"a": value, "b": 0.5 + value})
    assert learner.signal().tolist() == pytest.approx([1 - 0.3 / 0.1, 1 - 0.8 / 0.5])


def test_where_its_losses_come_from_is_in_the_state() -> None:
    first, second = (LearnedTemperature(SIZES) for _ in range(2))
    first.from_validation = True
    first.observe_evaluation(dict.fromkeys(SIZES, 1.0), {})
    second.load_state_dict(first.state_dict())
    second.observe_losses(dict.fromkeys(SIZES, 9.0))
    assert second.ready
    assert second.signal().tolist() == pytest.approx([1.0] * 3)


def test_options_out_of_range_are_said_together() -> None:
    with pytest.raises(UserError) as caught:
        LEARNERS.build({"objective": "dor", "penalty": -1.0, "lr": 0.0, "every": 0}, sizes=SIZES)
    keys = [mistake.key for mistake in caught.value.mistakes]
    assert keys == [f"mixture.learn.{name}" for name in ("objective", "penalty", "lr", "every")]
    assert "Did you mean 'dro'?" in str(caught.value)
