"""Scale and state of every registered weighting."""

import warnings
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hf_mtl.balancing import build_weighting
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


@every_weighting
def test_weights_sum_to_what_the_method_says(name: str) -> None:
    weighting = build(name)
    sums = [sum(one_step(weighting, step)[1:]) for step in range(8)]
    declared = {"1": [1.0] * 8, "T": [float(T)] * 8}.get(type(weighting).sums_to)
    assert declared is None or sums == pytest.approx(declared)


@pytest.mark.parametrize(
    ("name", "optimum"),
    [("uw", lambda losses: 2 * losses), ("imtl_l", lambda losses: 1 / losses)],
)
@pytest.mark.parametrize("weight_sum", [None, 1.0, 4.0])
def test_learned_scales_settle_at_their_optimum_whatever_the_sum(
    name: str, optimum: Callable[[Tensor], Tensor], weight_sum: float | None
) -> None:
    losses = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)
    weighting = build_weighting(name, num_tasks=3, weight_sum=weight_sum)
    (s,) = weighting.parameters()
    for _ in range(600):
        weighting.zero_grad()
        weighting(losses).backward()
        assert s.grad is not None
        with torch.no_grad():
            s -= 0.2 * s.grad
        weighting.after_step()
    assert s.exp().tolist() == pytest.approx(optimum(losses).tolist(), rel=1e-6)
    # In the method's own proportions: not equal weighting.
    weights = weighting.weights()
    assert (weights[0] / weights[2]).item() == pytest.approx(15.0, rel=1e-6)


@every_weighting
def test_losses_that_all_vanish_are_finite_whatever_the_sum(name: str) -> None:
    weighting = build(name, weight_sum=4.0)
    for step in range(6):
        losses = torch.tensor([0.0, 1e-30, 1e-9, 1e-8], dtype=torch.float64, requires_grad=True)
        total = weighting(losses)
        total.backward()
        assert losses.grad is not None
        assert bool(torch.isfinite(total) & torch.isfinite(losses.grad).all()), step
        assert bool(torch.isfinite(weighting.weights()).all())
        weighting.observe(**facts_of(step, range(T), torch.ones(T, dtype=torch.bool)))


@every_weighting
def test_a_run_of_any_length_changes_nothing(name: str, caplog: pytest.LogCaptureFixture) -> None:
    told, plain = build(name), build(name)
    told.observe(total_steps=10**6)
    assert caplog.text == ""
    assert run(told, range(6)) == run(plain, range(6))


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
