import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_mtl.data.learners.base import LEARNERS, GradientLook
from hf_mtl.data.learners.pike import PiKE, with_floor
from hf_mtl.data.mixture import Facts, Mixture, mistakes, parse
from hf_mtl.errors import Mistake, UserError

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/sampler_pike.json").read_text())
SIZES = {"large": 8000, "middle": 1000, "small": 1000}
ALIKE = {"a": 1000, "b": 1000, "c": 1000}
B = 32


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_a_move_equals_the_golden_values(case: dict[str, Any]) -> None:
    inputs = case["inputs"]
    options = {name: inputs[name] for name in ("zeta1", "zeta2", "pull", "floor")}
    learner = PiKE(dict.fromkeys("abc", 100), **options)
    learner.log_w, learner.anchor = np.log(inputs["p"]), np.log(inputs["anchor"])
    noise = np.array(inputs["variance"]) / inputs["rows_per_step"]
    learner.move(np.arange(3), np.array(inputs["squared_gradient"]), noise)
    learner.begin_window(50)
    assert learner.probabilities().tolist() == pytest.approx(case["expected"]["p"], rel=GOLDEN["rtol"])


def look(learner: PiKE, squares: dict[str, float], variances: dict[str, float], times: int = 1) -> None:
    for step in range(times):
        learner.observe_gradients({task: GradientLook(squares[task], variances[task]) for task in squares}, B)
        learner.begin_window(step)


def test_it_begins_with_proportional_sampling_or_what_a_cap_makes_of_it() -> None:
    assert PiKE(SIZES).probabilities().tolist() == pytest.approx([0.8, 0.1, 0.1])
    assert Mixture(SIZES, cap=2000, learn="pike").probabilities()["large"] == pytest.approx(0.5)


def test_a_large_gradient_draws_and_a_noisy_one_repels() -> None:
    learner = PiKE(ALIKE)
    look(learner, {"a": 4.0, "b": 1.0, "c": 1.0}, dict.fromkeys(ALIKE, 32.0))
    p = learner.probabilities()
    assert p[0] > p[1] == pytest.approx(p[2])
    learner = PiKE(ALIKE)
    look(learner, dict.fromkeys(ALIKE, 1.0), {"a": 320.0, "b": 32.0, "c": 32.0})
    p = learner.probabilities()
    assert p[0] < p[1] == pytest.approx(p[2])


def test_one_look_moves_by_its_shares_of_the_mean() -> None:
    learner = PiKE(ALIKE, zeta1=0.3, zeta2=0.2)
    look(learner, {"a": 3.0, "b": 0.5, "c": 0.5}, {"a": 32.0, "b": 32.0, "c": 0.0})
    # The average of one value is the value. s is the mean of 3 + 1, 0.5 + 1 and 0.5.
    moved = learner.log_w - learner.anchor
    assert moved.tolist() == pytest.approx([(0.9 - 0.2) / 2, (0.15 - 0.2) / 2, 0.15 / 2])
    gauges = learner.gauges()
    assert gauges["gradient_signal/a"] == pytest.approx(1.5)
    assert gauges["gradient_noise/c"] == 0.0
    assert list(PiKE(SIZES).gauges().values()) == [0.0] * 6


@given(st.floats(1e-20, 1e20))
def test_the_scale_of_all_gradients_changes_nothing(factor: float) -> None:
    learners = [PiKE(SIZES), PiKE(SIZES)]
    for learner, scale in zip(learners, (1.0, factor), strict=True):
        squares = {"large": 1.0, "middle": 5.0, "small": -0.1}
        variances = {"large": 30.0, "middle": 8.0, "small": 1.0}
        look(
            learner,
            {task: value * scale for task, value in squares.items()},
            {task: value * scale for task, value in variances.items()},
            3,
        )
    np.testing.assert_allclose(learners[1].log_w, learners[0].log_w, rtol=1e-9)


def test_the_pull_stops_a_task_that_would_take_all() -> None:
    squares, variances = {"a": 10.0, "b": 0.1, "c": 0.1}, dict.fromkeys(ALIKE, 1.0)
    pulled, free = PiKE(ALIKE, floor=0.0), PiKE(ALIKE, floor=0.0, pull=0.0)
    for learner in (pulled, free):
        look(learner, squares, variances, 500)
    assert free.probabilities()[0] > 1 - 1e-9
    # At rest the pull is as strong as the signal: log w is (zeta1 g² - zeta2 v / B) / (pull s) from the anchor.
    scale = (10.2 + 3 / B) / 3
    rest = (np.array([10.0, 0.1, 0.1]) - 1 / B) / scale
    np.testing.assert_allclose(pulled.log_w - pulled.anchor, rest, rtol=1e-6)
    assert 0.8 < pulled.probabilities()[0] < 0.95


def test_a_look_below_zero_is_averaged_as_it_is_and_only_the_average_has_a_floor() -> None:
    learner = PiKE(ALIKE)
    look(learner, {"a": -1.0, "b": 1.0, "c": 1.0}, dict.fromkeys(ALIKE, 1.0))
    assert learner.signal[0] == 0.0
    look(learner, {"a": 3.0, "b": 1.0, "c": 1.0}, dict.fromkeys(ALIKE, 1.0))
    mean = (0.9 * 0.1 * -1.0 + 0.1 * 3.0) / (1 - 0.81)
    assert learner.signal[0] / learner.signal[1] == pytest.approx(mean)


def test_a_task_that_is_not_looked_at_rests() -> None:
    learner = PiKE(ALIKE)
    look(learner, {"a": 2.0, "b": 1.0, "c": 1.0}, dict.fromkeys(ALIKE, 8.0))
    before = {key: value.clone() for key, value in learner.state_dict().items()}
    look(learner, {"a": 2.0, "b": 1.0}, dict.fromkeys(ALIKE, 8.0))
    after = learner.state_dict()
    for key in ("log_w", "squares", "variances", "looks", "signal"):
        assert after[key][2] == before[key][2]
    assert after["looks"].tolist() == [2, 2, 1]
    learner.observe_gradients({}, B)
    assert learner.state_dict()["log_w"].tolist() == after["log_w"].tolist()


def test_gradients_of_zero_move_nothing() -> None:
    learner = PiKE(ALIKE)
    look(learner, dict.fromkeys(ALIKE, 0.0), dict.fromkeys(ALIKE, 0.0))
    assert learner.log_w.tolist() == learner.anchor.tolist()


def test_what_was_looked_at_takes_effect_when_a_window_begins() -> None:
    learner = PiKE(ALIKE)
    learner.observe_gradients({"a": GradientLook(5.0, 1.0), "b": GradientLook(0.1, 1.0)}, B)
    assert learner.probabilities().tolist() == pytest.approx([1 / 3] * 3)
    learner.begin_window(50)
    assert learner.probabilities()[0] > 0.34


def test_no_task_has_less_than_the_floor() -> None:
    learner = PiKE({"a": 9900, "b": 50, "c": 50})
    p = learner.probabilities()
    assert p.tolist() == pytest.approx([1 - 0.4 / 3, 0.2 / 3, 0.2 / 3])
    assert PiKE({"a": 9900, "b": 50, "c": 50}, floor=1.0).probabilities().tolist() == pytest.approx([1 / 3] * 3)


@given(st.lists(st.floats(0, 50), min_size=1, max_size=7), st.floats(0, 1))
def test_the_floor_keeps_a_distribution_and_its_order(logits: list[float], floor: float) -> None:
    weights = np.exp(np.array(logits))
    p = weights / weights.sum()
    found = with_floor(p, floor / len(p))
    assert found.sum() == pytest.approx(1.0)
    assert (found >= floor / len(p) - 1e-12).all()
    free = found > floor / len(p) + 1e-12
    np.testing.assert_allclose(found[free] * p[free].sum(), p[free] * found[free].sum(), rtol=1e-9)
    order = np.argsort(p)
    assert (np.diff(found[order]) >= -1e-12).all()


def test_its_state_continues_in_the_same_bits() -> None:
    whole, first, second = (PiKE(SIZES) for _ in range(3))
    looks = [
        {task: GradientLook(float(np.sin(step + place)), 1.0 + place) for place, task in enumerate(SIZES)}
        for step in range(9)
    ]
    for step, found in enumerate(looks):
        whole.observe_gradients(found, B)
        if step % 2:
            whole.begin_window(step)
    for step, found in enumerate(looks):
        learner = first if step < 5 else second
        if step == 5:
            second.load_state_dict(first.state_dict())
        learner.observe_gradients(found, B)
        if step % 2:
            learner.begin_window(step)
    assert second.probabilities().tolist() == whole.probabilities().tolist()
    assert second.log_w.tolist() == whole.log_w.tolist() != whole.in_window.tolist()


def test_it_looks_every_so_many_steps_but_not_before_the_first_nor_at_one_task() -> None:
    learner = PiKE(SIZES, every=20)
    assert [step for step in range(61) if learner.looks_before(step)] == [20, 40, 60]
    assert learner.first_move == 20
    assert not any(PiKE({"only": 1}).looks_before(step) for step in range(100))
    assert PiKE({"only": 1}).probabilities().tolist() == [1.0]


@pytest.mark.parametrize(
    "learn", ["pike", {"type": "pike"}, {"objective": "pike"}, {"type": "pike", "objective": "pike"}]
)
def test_it_is_chosen_by_name_or_by_objective(learn: Any) -> None:
    assert isinstance(Mixture(SIZES, learn=learn).learner, PiKE)
    assert LEARNERS["pike"] is PiKE


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"every": 0}, "mixture.learn.every: found 0. Allowed: at least 1."),
        ({"zeta1": -1.0}, "mixture.learn.zeta1: found -1.0. Allowed: at least 0."),
        ({"zeta2": float("nan")}, "mixture.learn.zeta2: found nan. Allowed: a finite number."),
        ({"pull": 1.5}, "mixture.learn.pull: found 1.5. Allowed: at most 1."),
        ({"floor": 1.5}, "mixture.learn.floor: found 1.5. Allowed: at most 1."),
        ({"lr": 1.0}, "mixture.learn.lr: unknown key 'lr'. Known: every, floor, "),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as raised:
        Mixture(SIZES, learn={"objective": "pike", **options})
    assert said in str(raised.value)


def test_rows_too_few_to_tell_noise_by_are_refused_whatever_a_cap_makes_of_them() -> None:
    with pytest.raises(UserError, match=r"mixture.learn: 'pike' tells noise by 4 rows of a task.* of b \(3\)\."):
        Mixture({"a": 100, "b": 3}, learn="pike")
    assert Mixture({"a": 100, "b": 4}, cap=2, learn="pike").probabilities() == pytest.approx({"a": 0.5, "b": 0.5})


def test_it_is_refused_where_there_are_no_gradients_to_look_at() -> None:
    def said(learn: str, facts: Facts) -> list[str]:
        wrong: list[Mistake] = []
        found = mistakes(parse({"learn": learn}, wrong), facts)
        assert wrong == []
        return [str(mistake) for mistake in found]

    tasks = list(SIZES)
    [frozen] = said("pike", Facts(tasks, encoder_trained=False))
    assert frozen.startswith("mixture.learn: 'pike' looks at the tasks' gradients of what they share, and none of it")
    [shared] = said("pike", Facts(tasks, shared="fsdp"))
    assert shared.endswith("and fsdp has parts of their sum. Leave out fsdp, or use learn: temperature")
    assert said("pike", Facts(tasks, encoder_trained=True)) == said("pike", Facts(tasks)) == []
    assert said("temperature", Facts(tasks, shared="fsdp", encoder_trained=False)) == []
