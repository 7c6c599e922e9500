"""Preferences: what they are of the tasks of a step, and what the four aggregators make of them."""

from typing import Any

import numpy as np
import pytest
import torch

from hf_mtl.balancing import AGGREGATORS, WEIGHTINGS, build_aggregator, build_weighting
from hf_mtl.balancing.preferences import Preferences
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import golden, random_rows, tensor

PREFERRING = ("cagrad", "mgda", "nash_mtl", "upgrad")
OWNERS = "has no such option; aggregators with it: cagrad, mgda, nash_mtl, upgrad."
ROWS = random_rows(4, 9, seed=11)
UNEQUAL = [4.0, 1.0, 2.0, 0.5]


def test_only_ratios_count_and_those_of_missing_tasks_are_dropped() -> None:
    preferences = Preferences({"a": 4.0, "b": 1.0, "c": 3.0}, 3)
    assert preferences.of(np.arange(3)).tolist() == [1.5, 0.375, 1.125]
    assert preferences.of(np.array([0, 2])).tolist() == pytest.approx([8 / 7, 6 / 7])
    assert preferences.of(np.array([1])).tolist() == [1.0]
    assert Preferences(None, 3).of(np.array([0, 2])).tolist() == [1.0, 1.0]


def test_as_many_as_tasks_are_needed() -> None:
    with pytest.raises(
        UserError, match=r"preferences: found \[1\.0, 2\.0\]. Allowed: one number for each of 3 tasks"
    ):
        Preferences([1.0, 2.0], 3)


@pytest.mark.parametrize("name", PREFERRING)
@pytest.mark.parametrize("value", [1.0, 0.1, 3e-5])
def test_equal_preferences_are_none_to_the_bit(name: str, value: float) -> None:
    for rows in (ROWS, ROWS.float(), ROWS * tensor([1.0, 0.0, 1.0, 1.0])[:, None]):
        plain = build_aggregator(name, num_tasks=4)
        equal = build_aggregator(name, num_tasks=4, preferences=[value] * 4)
        assert torch.equal(equal(rows), plain(rows))


@pytest.mark.parametrize("name", PREFERRING)
def test_the_sum_of_the_preferences_changes_nothing(name: str) -> None:
    one, other = (
        build_aggregator(name, num_tasks=4, preferences=[factor * value for value in UNEQUAL])
        for factor in (1.0, 1e-3)
    )
    found = one(ROWS)
    assert torch.allclose(found, other(ROWS), rtol=1e-9)
    assert not torch.allclose(found, build_aggregator(name, num_tasks=4)(ROWS), rtol=1e-2)


@pytest.mark.parametrize("name", PREFERRING)
def test_a_missing_task_is_as_if_it_had_no_preference(name: str) -> None:
    rows, there = ROWS.clone(), [0, 2, 3]
    rows[1] = 0
    found = build_aggregator(name, num_tasks=4, preferences=UNEQUAL)(rows)
    fewer = build_aggregator(name, num_tasks=3, preferences=[UNEQUAL[place] for place in there])
    assert torch.allclose(found, fewer(rows[there]), rtol=1e-9)


@pytest.mark.parametrize("name", PREFERRING)
@pytest.mark.parametrize("ratio", [1e-6, 1e6])
def test_preferences_far_apart_have_a_finite_direction(name: str, ratio: float) -> None:
    aggregator = build_aggregator(name, num_tasks=4, preferences=[ratio, 1.0, 1.0, 1.0])
    for rows in (ROWS, torch.cat([ROWS[:1], -ROWS[:1], ROWS[2:]])):
        found = aggregator(rows)
        assert bool(torch.isfinite(found).all())
        assert float(found.norm()) <= 20 * float(rows.norm(dim=1).max())


def test_upgrad_projects_the_preferred_mean_as_the_golden_value_does() -> None:
    content = golden("aggregator_upgrad_preferences")
    [case] = content["cases"]
    rows = tensor(case["inputs"]["jacobian"])
    found = build_aggregator("upgrad", num_tasks=3, preferences=case["inputs"]["preferences"])(rows)
    expected = tensor(case["expected"]["gradient_in_torchjd_scale"])
    assert torch.allclose(found, expected, rtol=content["rtol"], atol=content["atol"])


@pytest.mark.parametrize("name", ["upgrad", "cagrad"])
def test_without_conflict_the_preferred_mean_stays(name: str) -> None:
    rows = torch.eye(4, dtype=torch.float64) + 0.5
    options = {"c": 0.0} if name == "cagrad" else {"rho": 0.0}
    found = build_aggregator(name, num_tasks=4, preferences=UNEQUAL, **options)(rows)
    assert torch.allclose(found, tensor(UNEQUAL) @ rows / 7.5)


def test_cagrad_stays_in_the_ball_around_the_preferred_mean_and_does_best_for_the_worst() -> None:
    mean = tensor(UNEQUAL) @ ROWS / 7.5
    aggregator = build_aggregator("cagrad", num_tasks=4, preferences=UNEQUAL, c=0.4, rescale=0)
    found = aggregator(ROWS)
    radius = 0.4 * float(mean.norm())
    assert float((found - mean).norm()) == pytest.approx(radius, rel=1e-6)
    worst = float((ROWS @ found).min())
    generator = torch.Generator().manual_seed(0)
    for _ in range(2000):  # no other point of the ball is better, those near the solution included
        step = torch.randn(9, generator=generator, dtype=torch.float64)
        near = found - mean + 0.1 * radius * step / step.norm()
        for point in (step, near):
            assert float((ROWS @ (mean + radius * point / point.norm())).min()) <= worst + 1e-9


def test_mgda_has_the_tasks_that_decide_gain_in_proportion() -> None:
    aggregator = build_aggregator("mgda", num_tasks=4, preferences=UNEQUAL)
    gains = ROWS @ aggregator(ROWS)
    weights = aggregator.weights()
    assert weights is not None
    assert float(weights.sum()) == pytest.approx(1.0)
    shares = gains / tensor(UNEQUAL)
    decide = weights > 0
    assert int(decide.sum()) >= 3
    assert torch.allclose(shares[decide], shares[decide][0].expand(int(decide.sum())), rtol=1e-8)
    assert bool((shares >= shares[decide][0] * (1 - 1e-8)).all())


def test_nash_mtl_has_bargaining_powers() -> None:
    aggregator = build_aggregator("nash_mtl", num_tasks=4, preferences=UNEQUAL)
    direction = aggregator(ROWS)
    weights = aggregator.weights()
    assert weights is not None
    assert torch.allclose(weights * (ROWS @ direction), tensor(UNEQUAL) * 4 / 7.5, rtol=1e-9)
    assert float(direction.norm()) == pytest.approx(2.0)


@pytest.mark.parametrize("name", [name for name in AGGREGATORS.names() if name not in PREFERRING])
def test_other_aggregators_refuse_them_by_name_and_say_who_does_not(name: str) -> None:
    with pytest.raises(UserError) as raised:
        build_aggregator(name, num_tasks=2, preferences=[1.0, 2.0])
    assert "balancing.aggregator.preferences: unknown key" in str(raised.value)
    assert f"'{name}' {OWNERS}" in str(raised.value)


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_weightings_refuse_them_by_name(name: str) -> None:
    with pytest.raises(UserError) as raised:
        build_weighting(name, num_tasks=2, preferences={"a": 1.0, "b": 2.0})
    assert f"'{name}' {OWNERS}" in str(raised.value)


@pytest.mark.parametrize(
    ("value", "said"), [(0, "more than 0"), (-1.0, "more than 0"), (float("nan"), "a finite number")]
)
@pytest.mark.parametrize("name", PREFERRING)
def test_a_preference_is_positive(name: str, value: Any, said: str) -> None:
    with pytest.raises(UserError, match=f"preferences.1: found {value}. Allowed: {said}"):
        build_aggregator(name, num_tasks=2, preferences=[1.0, value])
