"""What every registered weighting keeps to; see `family` for the few that are exceptions."""

from typing import Any, get_args

import pytest
import torch

from hf_mtl.balancing import WEIGHTINGS, LossWeighting, base
from tests.balancing.weightings.family import (
    LOSSES,
    NAMES,
    T,
    build,
    every_variation,
    every_weighting,
    facts_of,
    losses_of,
    one_step,
    presence,
    single_task_is_said,
)
from tests.balancing.weightings.golden import derivative

pytestmark = single_task_is_said


@every_weighting
def test_the_scalar_is_finite_and_weights_are_one_double_per_task(name: str) -> None:
    weighting = build(name)
    assert weighting.weights().shape == (T,)
    assert weighting.weights().dtype == torch.float64
    for step in range(8):
        found = one_step(weighting, step)
        assert len(found) == 1 + T
        assert bool(torch.isfinite(torch.tensor(found)).all())
        assert min(found[1:]) > 0
        assert not weighting.weights().requires_grad
        assert weighting.weights().dtype == torch.float64
    assert weighting(LOSSES).shape == ()


@every_weighting
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_scalar_has_the_dtype_of_the_losses(name: str, dtype: torch.dtype) -> None:
    losses = LOSSES.clone().to(dtype).requires_grad_()
    total = build(name)(losses)
    total.backward()
    assert total.dtype == dtype
    assert losses.grad is not None
    assert bool(torch.isfinite(losses.grad).all())


@every_weighting
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-12, 1e6])
@pytest.mark.parametrize("weight_sum", [None, 4.0])
def test_losses_near_zero_and_large_ones_stay_finite(
    name: str, weight_sum: float | None, scale: float, dtype: torch.dtype
) -> None:
    weighting = build(name, weight_sum=weight_sum)
    for step in range(8):
        losses = (LOSSES * scale).to(dtype).requires_grad_()
        total = weighting(losses)
        total.backward()
        facts = facts_of(step, range(T), torch.ones(T, dtype=torch.bool))
        weighting.observe(
            norms=facts["norms"] * scale, jacobian=facts["jacobian"] * scale, losses_after=losses.detach() * 0.5
        )
        weighting.after_step()
        assert losses.grad is not None
        assert bool(torch.isfinite(total) & torch.isfinite(losses.grad).all())
        assert bool(torch.isfinite(weighting.weights()).all())
        assert all(bool(torch.isfinite(p.grad).all()) for p in weighting.parameters() if p.grad is not None)


@every_weighting
def test_one_loss_of_zero_among_others_stays_finite(name: str) -> None:
    weighting = build(name)
    for _ in range(6):
        assert bool(torch.isfinite(derivative(weighting, [0.0, 1.0, 2.0, 1e-3])).all())


@every_weighting
def test_learned_parameters_are_double_and_outside_any_model(name: str) -> None:
    assert all(parameter.dtype == torch.float64 for parameter in build(name).parameters())


@every_weighting
def test_what_it_needs_and_costs_is_declared(name: str) -> None:
    cls = WEIGHTINGS[name]
    assert cls.needs <= set(get_args(base.Need))
    assert build(name).needs_now() <= cls.needs
    assert cls.cost
    assert cls.sums_to in get_args(base.SumsTo)
    assert "norms" not in cls.needs or build(name).scope in ("last_layer", "adapters", "all")
    assert cls.additive or "losses" in cls.needs


@every_weighting
def test_weights_are_the_derivative_of_the_scalar_at_exposure_one(name: str) -> None:
    weighting = build(name)
    for step in range(8):
        gradient = derivative(weighting, losses_of(step, range(T)))
        assert torch.allclose(gradient, weighting.weights(), rtol=1e-12)
        one_step(weighting, step)


@every_variation
def test_the_scalar_alone_remembers_nothing_and_equals_forwards(name: str, options: dict[str, Any]) -> None:
    weighting, other = build(name, **options), build(name, **options)
    for step in range(6):
        before = {key: value.clone() for key, value in weighting.state_dict().items()}
        peeked = weighting.scalar(losses_of(step, range(T)), presence(step)).item()
        assert weighting.scalar(3 * LOSSES).isfinite()
        assert all(torch.equal(value, before[key]) for key, value in weighting.state_dict().items())
        found = one_step(weighting, step, present=presence(step))
        assert found == one_step(other, step, present=presence(step))
        assert peeked == found[0]


@pytest.mark.parametrize("name", [name for name in NAMES if "losses" not in WEIGHTINGS[name].needs])
def test_factors_are_known_before_the_losses_unless_these_are_needed(name: str) -> None:
    weighting = build(name)
    exposure = torch.tensor([0.5, 2.0, 1.0, 0.5], dtype=torch.float64)
    for step in range(6):
        zero = torch.zeros(T, dtype=torch.float64, requires_grad=True)
        constant = weighting.scalar(zero, None, exposure)
        (factors,) = torch.autograd.grad(constant, zero)
        losses = losses_of(step, range(T))
        expected = weighting.scalar(losses, None, exposure).item()
        assert (constant + (factors * losses).sum()).item() == pytest.approx(expected, rel=1e-12)
        one_step(weighting, step)


@pytest.mark.parametrize("name", [name for name in NAMES if "losses" in WEIGHTINGS[name].needs])
def test_weights_are_constants_for_second_derivatives_or_the_formula_is_not_linear(name: str) -> None:
    weighting = build(name)
    for step in range(3):
        one_step(weighting, step)
    losses = LOSSES.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(weighting(losses), losses, create_graph=True)
    cls = WEIGHTINGS[name]
    assert gradient.requires_grad == (not cls.additive or cls.data_terms is not LossWeighting.data_terms)


@every_weighting
def test_only_learned_parameters_have_gradients(name: str) -> None:
    weighting = build(name)
    learned = list(weighting.parameters())
    assert all(parameter.requires_grad for parameter in learned)
    assert not any(buffer.requires_grad for buffer in weighting.buffers())
    assert weighting(LOSSES).requires_grad == bool(learned)  # the losses here are constants
