"""What every registered weighting keeps to; a new one needs an entry only if it has options per task."""

from typing import Any

import pytest
import torch
from torch import Tensor

from hf_mtl.balancing import LossWeighting, available, build_weighting

SIZES = [50, 7, 300, 20]
T = len(SIZES)
LOSSES = torch.tensor([0.7, 2.5, 0.01, 1.3], dtype=torch.float64)
PERMUTATIONS = [[1, 0, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]]

PER_TASK: dict[str, dict[str, list[Any]]] = {
    "fixed": {"weights": [0.3, 1.0, 2.0, 0.7]},
    "uw": {
        "init": [0.1, -0.4, 0.0, 1.0],
        "task_types": ["classification", "regression", "regression", "classification"],
    },
}
"""Options that hold one value per task, by weighting."""

every_weighting = pytest.mark.parametrize("name", list(available()))


def build(name: str, order: list[int] | None = None, **options: Any) -> LossWeighting:
    """Build a weighting of T tasks in another order."""
    order = list(range(T)) if order is None else order
    given = {key: [values[i] for i in order] for key, values in PER_TASK.get(name, {}).items()}
    weighting = build_weighting(name, num_tasks=T, **given, **options)
    weighting.observe(sizes=[SIZES[i] for i in order])
    return weighting


def train(weighting: LossWeighting, losses: Tensor, steps: int = 3) -> list[float]:
    """A few steps of gradient descent on the weighting's own parameters; the scalars."""
    totals = []
    for _ in range(steps):
        weighting.zero_grad()
        total = weighting(losses)
        totals.append(total.item())
        if total.requires_grad:
            total.backward()
        with torch.no_grad():
            for parameter in weighting.parameters():
                assert parameter.grad is not None
                parameter.sub_(0.1 * parameter.grad)
        weighting.after_step()
    return totals


@every_weighting
def test_the_scalar_is_finite_and_weights_are_one_per_task(name: str) -> None:
    weighting = build(name)
    total = weighting(LOSSES)
    assert total.shape == ()
    assert torch.isfinite(total)
    assert weighting.weights().shape == (T,)
    assert bool((weighting.weights() > 0).all())
    assert not weighting.weights().requires_grad


@every_weighting
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_scalar_has_the_dtype_of_the_losses(name: str, dtype: torch.dtype) -> None:
    assert build(name)(LOSSES.to(dtype)).dtype == dtype


@every_weighting
def test_losses_near_zero_and_large_ones_stay_finite(name: str) -> None:
    for scale in (0.0, 1e-12, 1e6):
        weighting = build(name)
        losses = (LOSSES * scale).requires_grad_()
        weighting(losses).backward()
        assert losses.grad is not None
        assert bool(torch.isfinite(losses.grad).all())
        assert all(bool(torch.isfinite(p.grad).all()) for p in weighting.parameters() if p.grad is not None)


@every_weighting
@pytest.mark.parametrize("order", PERMUTATIONS)
def test_reordering_the_tasks_reorders_the_weights(name: str, order: list[int]) -> None:
    first, second = build(name), build(name, order)
    expected, found = train(first, LOSSES), train(second, LOSSES[order])
    assert found == pytest.approx(expected, rel=1e-12)
    assert torch.allclose(second.weights(), first.weights()[order], rtol=1e-12)


@every_weighting
def test_state_restored_between_two_steps_changes_nothing(name: str) -> None:
    uninterrupted, saved, resumed = build(name), build(name), build(name)
    expected = train(uninterrupted, LOSSES, steps=5)
    train(saved, LOSSES, steps=2)
    state = {key: value.clone() for key, value in saved.state_dict().items()}
    resumed.load_state_dict(state)
    assert train(resumed, LOSSES, steps=3) == expected[2:]


@every_weighting
def test_absent_tasks_leave_no_trace(name: str) -> None:
    present = torch.tensor([True, False, True, False])
    weighting, other = build(name), build(name)
    losses = torch.where(present, LOSSES, torch.full_like(LOSSES, torch.nan))
    total = weighting(losses, present)
    assert torch.isfinite(total)
    finite = torch.where(present, LOSSES, torch.full_like(LOSSES, 99.0))
    assert total.item() == other(finite, present).item()
    if total.requires_grad:
        total.backward()
    for parameter in weighting.parameters():
        assert parameter.grad is not None
        if parameter.shape == (T,):
            assert parameter.grad[~present].tolist() == [0.0, 0.0]
            assert bool((parameter.grad[present] != 0).all())


@every_weighting
@pytest.mark.parametrize("weight_sum", [1.0, 4.0])
def test_weights_can_be_brought_to_a_common_sum(name: str, weight_sum: float) -> None:
    plain, rescaled = build(name), build(name, weight_sum=weight_sum)
    plain(LOSSES)
    assert float(rescaled.weights().sum()) == pytest.approx(weight_sum)
    rescaled(LOSSES)
    assert float(rescaled.weights().sum()) == pytest.approx(weight_sum)
    ratios = rescaled.weights() / plain.weights()
    assert torch.allclose(ratios, ratios[0].expand(T), rtol=1e-12)


@every_weighting
def test_weights_are_the_derivative_of_the_scalar(name: str) -> None:
    weighting = build(name)
    losses = LOSSES.clone().requires_grad_()
    weighting(losses).backward()
    assert losses.grad is not None
    assert torch.allclose(losses.grad, weighting.weights(), rtol=1e-12)


@every_weighting
def test_learned_parameters_are_double_and_outside_any_model(name: str) -> None:
    assert all(parameter.dtype == torch.float64 for parameter in build(name).parameters())
