"""Order, number and absence of tasks, for every registered weighting."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.balancing.weightings.family import (
    ADDITIVE,
    LOSSES,
    NON_ADDITIVE,
    OF_THE_STEP,
    PARTLY,
    PERMUTATIONS,
    RESCALED,
    T,
    build,
    every_weighting,
    facts_of,
    losses_of,
    one_step,
    run,
    single_task_is_said,
    takes_normals,
)
from tests.balancing.weightings.golden import derivative

pytestmark = single_task_is_said


@every_weighting
@pytest.mark.parametrize("order", PERMUTATIONS)
def test_reordering_the_tasks_reorders_the_weights(name: str, order: list[int]) -> None:
    first, second = build(name), build(name, order)
    for step in range(8):
        if takes_normals(name):
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
    if type(weighting).sums_to != "own":
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


@every_weighting
def test_statistics_of_absent_tasks_do_not_move(name: str) -> None:
    weighting = build(name)
    run(weighting, range(4))  # two whole epochs, so that no window closes in the next step
    before = {key: value.clone() for key, value in weighting.state_dict().items()}
    one_step(weighting, 4, present=PARTLY)
    after = weighting.state_dict()
    for key, kind in RESCALED.get(name, {}).items():
        assert not torch.equal(after[key], before[key])
        found, kept = (absent_tasks(state[key]) for state in (after, before))
        combine = torch.div if kind == "ratio" else torch.sub
        assert float(combine(*found)) == pytest.approx(float(combine(*kept)), rel=1e-12)
    others = {*RESCALED.get(name, {}), *OF_THE_STEP.get(name, ())}
    for key in set(after) - others:
        if T in after[key].shape:
            assert torch.equal(absent_tasks(after[key]), absent_tasks(before[key])), key


def absent_tasks(value: torch.Tensor) -> torch.Tensor:
    """A piece of state of the tasks that are absent in `PARTLY`, along the axis of tasks."""
    return value.movedim(list(value.shape).index(T), 0)[~PARTLY]


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
