"""Scale and state of every registered weighting."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.balancing.weightings.family import (
    LOSSES,
    T,
    build,
    every_weighting,
    facts_of,
    losses_of,
    one_step,
    presence,
    run,
    single_task_is_said,
)
from tests.balancing.weightings.golden import derivative

pytestmark = single_task_is_said


@every_weighting
@pytest.mark.parametrize("weight_sum", [1.0, 4.0])
def test_weights_can_be_brought_to_a_common_sum(name: str, weight_sum: float) -> None:
    plain, rescaled = build(name), build(name, weight_sum=weight_sum)
    assert float(rescaled.weights().sum()) == pytest.approx(weight_sum)
    for step in range(6):
        one_step(plain, step)
        # Learned parameters take other steps under another scale.
        rescaled.load_state_dict(plain.state_dict())
        derived = derivative(rescaled, LOSSES)
        plain(LOSSES)
        assert float(rescaled.weights().sum()) == pytest.approx(weight_sum)
        assert torch.allclose(derived, rescaled.weights(), rtol=1e-12)
        ratios = rescaled.weights() / plain.weights()
        assert torch.allclose(ratios, ratios[0].expand(T), rtol=1e-12)


SUMS = {"ew": 1, "tw": 1, "rlw": 1, "uw_so": 1, "dwa": T, "gradnorm": T, "slaw": T, "gradnorm_scaling": T}


@pytest.mark.parametrize(("name", "total"), [*SUMS.items(), ("excess_mtl", T), ("famo", 1)])
def test_weights_sum_to_what_the_paper_has(name: str, total: int) -> None:
    weighting = build(name)
    for step in range(8):
        assert sum(one_step(weighting, step)[1:]) == pytest.approx(total)


@every_weighting
@settings(max_examples=6)
@given(cut=st.integers(0, 8))
def test_state_restored_between_any_two_steps_changes_nothing(name: str, cut: int) -> None:
    expected, saved, resumed = build(name), build(name), build(name)
    values = [one_step(expected, step, present=presence(step)) for step in range(9)]
    for step in range(cut):
        one_step(saved, step, present=presence(step))
    state = {key: value.detach().clone() for key, value in saved.state_dict().items()}
    assert all(isinstance(value, Tensor) for value in state.values())
    resumed.load_state_dict(state)
    assert [one_step(resumed, step, present=presence(step)) for step in range(cut, 9)] == values[cut:]


@every_weighting
def test_state_restored_within_a_step_changes_nothing(name: str) -> None:
    expected, resumed = build(name), build(name)
    for step in range(6):
        losses, facts = losses_of(step, range(T)), facts_of(step, range(T), torch.ones(T, dtype=torch.bool))
        assert expected(losses).item() == resumed(losses).item()
        state, resumed = resumed.state_dict(), build(name)
        resumed.load_state_dict(state)
        expected.observe(**facts)
        resumed.observe(**facts)
    assert expected(LOSSES).item() == resumed(LOSSES).item()


@every_weighting
def test_a_restored_weighting_forgets_the_weights_that_it_used(name: str) -> None:
    weighting, fresh = build(name), build(name)
    state = {key: value.clone() for key, value in weighting.state_dict().items()}
    run(weighting, range(6))
    weighting.load_state_dict(state)
    assert torch.equal(weighting.weights(), fresh.weights())


@every_weighting
def test_facts_that_it_does_not_know_are_ignored(name: str) -> None:
    weighting = build(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weighting.observe()
        weighting.observe(weather="fine", norms=None, jacobian=None, losses_after=None)
    assert torch.equal(weighting.weights(), build(name).weights())
