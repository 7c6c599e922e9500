"""What every registered weighting keeps to; a new one needs an entry only if it has options per task."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hf_mtl.balancing import LossWeighting, available, build_weighting, weighting_class
from tests.balancing.weightings.golden import derivative

pytestmark = pytest.mark.filterwarnings("ignore:the weighting .* balances only the tasks of one step")

NAMES = [name for name, family in available().items() if family == "weighting"]
ADDITIVE = [name for name in NAMES if weighting_class(name).additive]
NON_ADDITIVE = [name for name in NAMES if name not in ADDITIVE]

SIZES = [50, 7, 300, 20]
T = len(SIZES)
LOSSES = torch.tensor([0.7, 2.5, 0.01, 1.3], dtype=torch.float64)
PARTLY = torch.tensor([True, False, True, False])
PERMUTATIONS = [[1, 0, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]]

PER_TASK: dict[str, dict[str, list[Any]]] = {
    "fixed": {"weights": [0.3, 1.0, 2.0, 0.7]},
    "uw": {
        "init": [0.1, -0.4, 0.0, 1.0],
        "task_types": ["classification", "regression", "regression", "classification"],
    },
}
"""Options that hold one value per task, by weighting."""

QUICK: dict[str, dict[str, Any]] = {"gradnorm_scaling": {"every": 2}, "stch": {"warmup_epochs": 1}}
"""Options with which a few steps pass through everything that a weighting does."""

every_weighting = pytest.mark.parametrize("name", NAMES)


def build(name: str, order: Sequence[int] = range(T), **options: Any) -> LossWeighting:
    """Build a weighting of some tasks in some order, told what a trainer tells at the start."""
    given = {key: [values[i] for i in order] for key, values in PER_TASK.get(name, {}).items()}
    weighting = build_weighting(name, num_tasks=len(order), **{**QUICK.get(name, {}), **given, **options})
    weighting.observe(sizes=[SIZES[i] for i in order], steps_per_epoch=2, seed=3)
    if name == "gradnorm":
        weighting.observe(initial_losses=[1.0] * len(order))
    return weighting


def facts_of(step: int, order: Sequence[int], present: Tensor) -> dict[str, Tensor]:
    """What a trainer measures in a step, for tasks in some order."""
    jacobian = torch.from_numpy(np.random.default_rng([1, step]).normal(size=(T, 6)))[list(order)]
    jacobian = torch.where(present[:, None], jacobian, 0.0)
    after = torch.from_numpy(np.random.default_rng([2, step]).uniform(0.1, 2.0, size=T))[list(order)]
    return {"norms": jacobian.norm(dim=1), "jacobian": jacobian, "losses_after": after}


def losses_of(step: int, order: Sequence[int]) -> Tensor:
    return torch.from_numpy(np.random.default_rng([0, step]).uniform(0.05, 3.0, size=T))[list(order)]


def one_step(
    weighting: LossWeighting, step: int, order: Sequence[int] = range(T), present: Tensor | None = None
) -> list[float]:
    """One optimizer step as a trainer drives it; the scalar, then the weights."""
    present = torch.ones(len(order), dtype=torch.bool) if present is None else present
    needed = weighting.needs_now()
    weighting.zero_grad()
    losses = torch.where(present, losses_of(step, order), torch.nan)
    total = weighting(losses, present)
    found = [total.item(), *weighting.weights().tolist()]
    if total.requires_grad:
        total.backward()
    with torch.no_grad():
        for parameter in weighting.parameters():
            assert parameter.grad is not None
            parameter.sub_(0.1 * parameter.grad)
    facts = facts_of(step, order, present)
    weighting.observe(present=present, **{key: facts[key] for key in sorted(needed - {"losses"})})
    weighting.after_step()
    return found


def run(weighting: LossWeighting, steps: Sequence[int], order: Sequence[int] = range(T)) -> list[float]:
    """A few steps, one after another."""
    return [value for step in steps for value in one_step(weighting, step, order)]


def presence(step: int) -> Tensor:
    """Two or three of the four tasks, others in every step."""
    return torch.tensor([(task + step) % 3 != 0 for task in range(T)])


# ---- Shape, dtype, finiteness ----


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
def test_losses_near_zero_and_large_ones_stay_finite(name: str, scale: float, dtype: torch.dtype) -> None:
    weighting = build(name)
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


# ---- What a trainer relies on ----


@every_weighting
def test_what_it_needs_and_costs_is_declared(name: str) -> None:
    cls = weighting_class(name)
    assert cls.needs <= {"losses", "norms", "jacobian", "losses_after"}
    assert build(name).needs_now() <= cls.needs
    assert cls.cost
    assert "norms" not in cls.needs or build(name).scope == "last_layer"
    assert cls.additive or "losses" in cls.needs
    assert (cls.__doc__ or "").count("Args:") == 1 or name == "ew"


@every_weighting
def test_weights_are_the_derivative_of_the_scalar_at_exposure_one(name: str) -> None:
    weighting = build(name)
    for step in range(8):
        gradient = derivative(weighting, losses_of(step, range(T)))
        assert torch.allclose(gradient, weighting.weights(), rtol=1e-12)
        one_step(weighting, step)


@every_weighting
def test_the_scalar_alone_remembers_nothing_and_equals_forwards(name: str) -> None:
    weighting, other = build(name), build(name)
    for step in range(6):
        before = {key: value.clone() for key, value in weighting.state_dict().items()}
        peeked = weighting.scalar(losses_of(step, range(T)), presence(step)).item()
        assert weighting.scalar(3 * LOSSES).isfinite()
        assert all(torch.equal(value, before[key]) for key, value in weighting.state_dict().items())
        found = one_step(weighting, step, present=presence(step))
        assert found == one_step(other, step, present=presence(step))
        assert peeked == found[0]


@pytest.mark.parametrize("name", [name for name in NAMES if "losses" not in weighting_class(name).needs])
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


@pytest.mark.parametrize("name", [name for name in NAMES if "losses" in weighting_class(name).needs])
def test_weights_are_constants_for_second_derivatives_or_the_formula_is_not_linear(name: str) -> None:
    weighting = build(name)
    for step in range(3):
        one_step(weighting, step)
    losses = LOSSES.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(weighting(losses), losses, create_graph=True)
    assert gradient.requires_grad == (name in ("si", *NON_ADDITIVE))


@every_weighting
def test_only_learned_parameters_have_gradients(name: str) -> None:
    weighting = build(name)
    assert [key for key, _ in weighting.named_parameters()] == (["s"] if name in ("uw", "imtl_l") else [])
    assert not any(buffer.requires_grad for buffer in weighting.buffers())
    total = weighting(LOSSES)
    assert total.requires_grad == (name in ("uw", "imtl_l"))  # the losses here are constants


# ---- Tasks: order, number, absence ----


@every_weighting
@pytest.mark.parametrize("order", PERMUTATIONS)
def test_reordering_the_tasks_reorders_the_weights(name: str, order: list[int]) -> None:
    first, second = build(name), build(name, order)
    for step in range(8):
        if name == "rlw":  # the one whose draws belong to places
            normals = losses_of(step, range(T))
            first.observe(normals=normals)
            second.observe(normals=normals[order])
        expected, found = one_step(first, step), one_step(second, step, order)
        assert found[0] == pytest.approx(expected[0], rel=1e-12)
        assert found[1:] == pytest.approx([expected[1 + i] for i in order], rel=1e-10)


@every_weighting
def test_one_task_alone_is_its_loss_up_to_a_factor(name: str) -> None:
    weighting = build(name, [1])
    for step in range(6):
        gradient = derivative(weighting, losses_of(step, [1]))
        assert torch.equal(gradient, weighting.weights())
        assert float(gradient) > 0
        run(weighting, [step], [1])
    if name not in ("fixed", "uw", "imtl_l", "si", "uw_o", "stch"):  # of own scale
        assert float(gradient) == pytest.approx(1.0)


@every_weighting
def test_steps_with_one_task_each_stay_finite(name: str) -> None:
    weighting = build(name)
    for step in range(12):
        present = torch.arange(T) == step % T
        found = one_step(weighting, step, present=present)
        assert bool(torch.isfinite(torch.tensor(found)).all())
        assert found[1 + step % T] > 0


@every_weighting
def test_a_step_without_any_task_is_worth_nothing(name: str) -> None:
    losses = LOSSES.clone().requires_grad_()
    total = build(name)(losses, torch.zeros(T, dtype=torch.bool))
    total.backward()
    assert total.item() == 0.0
    assert losses.grad is not None
    assert losses.grad.tolist() == [0.0] * T


@every_weighting
def test_absent_tasks_leave_no_trace(name: str) -> None:
    weighting, other = build(name), build(name)
    run(weighting, range(4))
    run(other, range(4))
    weighting.zero_grad()
    for step, anything in ((4, torch.nan), (5, torch.inf), (6, -3.0)):
        losses = torch.where(PARTLY, losses_of(step, range(T)), anything)
        with_99 = torch.where(PARTLY, losses, torch.full_like(losses, 99.0))
        total = weighting(losses, PARTLY)
        assert total.item() == other(with_99, PARTLY).item()
        if total.requires_grad:
            total.backward()
        for parameter in weighting.parameters():
            assert parameter.grad is not None
            assert parameter.grad[~PARTLY].tolist() == [0.0, 0.0]
            assert bool((parameter.grad[PARTLY] != 0).all())
        facts = facts_of(step, range(T), PARTLY)
        weighting.observe(present=PARTLY, **facts)
        other.observe(**facts)  # absent rows are zero
        weighting.zero_grad()
        state, expected = weighting.state_dict(), other.state_dict()
        assert all(torch.equal(state[key], expected[key]) for key in expected)
        assert torch.equal(weighting.weights(), other.weights())


@pytest.mark.parametrize("name", NAMES)
def test_statistics_of_absent_tasks_do_not_move(name: str) -> None:
    weighting = build(name)
    run(weighting, range(5))
    before = {key: value.clone() for key, value in weighting.state_dict().items()}
    one_step(weighting, 5, present=PARTLY)
    shared = {"w", "log_w"}  # brought to the sum T over all tasks
    open_step = {"waiting"}  # which tasks the last step had
    for key, value in weighting.state_dict().items():
        if key in shared:
            ratio = value[3] / value[1] if key == "w" else value[3] - value[1]
            old = before[key][3] / before[key][1] if key == "w" else before[key][3] - before[key][1]
            assert float(ratio) == pytest.approx(float(old), rel=1e-12)
        elif key not in open_step and value.ndim:
            place = (slice(None), ~PARTLY) if key == "means" else (~PARTLY,)
            if key in ("sums", "counts") and name == "dwa":
                assert bool((value[~PARTLY] <= before[key][~PARTLY]).all())  # or the window was closed
            elif key == "means" or (key == "windows" and name == "dwa"):
                continue  # closing a window takes what the task had in it
            elif key != "_extra_state":
                assert torch.equal(value[place], before[key][place]), key


@pytest.mark.parametrize("name", NON_ADDITIVE)
def test_non_additive_methods_see_the_present_tasks_alone(name: str) -> None:
    tasks = [0, 2]
    whole, part = build(name), build(name, tasks)
    for step in range(8):
        found, expected = one_step(whole, step, present=PARTLY), one_step(part, step, tasks)
        assert found[0] == pytest.approx(expected[0], rel=1e-12)
        assert [found[1], found[3]] == pytest.approx(expected[1:], rel=1e-12)
        assert [found[2], found[4]] == [0.0, 0.0]


@pytest.mark.parametrize("name", NON_ADDITIVE)
def test_non_additive_methods_do_not_look_at_exposure(name: str) -> None:
    exposure = torch.tensor([3.0, 0.5, 0.25, 0.25])
    assert build(name)(LOSSES, None, exposure).item() == build(name)(LOSSES).item()


@settings(max_examples=30)
@given(
    st.sampled_from(ADDITIVE),
    st.lists(st.floats(0, 10), min_size=T, max_size=T),
    st.lists(st.booleans(), min_size=T, max_size=T),
    st.integers(0, 5),
)
def test_additive_methods_are_linear_in_exposure(
    name: str, exposure: list[float], present: list[bool], steps: int
) -> None:
    weighting, here = build(name), torch.tensor(present)
    run(weighting, range(steps))
    whole = weighting.scalar(LOSSES, here, torch.tensor(exposure)).item()
    parts = []
    for task in range(T):
        alone = torch.zeros(T, dtype=torch.float64)
        alone[task] = exposure[task]
        parts.append(weighting.scalar(LOSSES, here, alone).item())
    assert whole == pytest.approx(sum(parts), rel=1e-5, abs=1e-9)  # exposure went through float32
    assert all(part == 0.0 for part, is_here in zip(parts, present, strict=True) if not is_here)


# ---- Scale ----


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


# ---- State ----


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
