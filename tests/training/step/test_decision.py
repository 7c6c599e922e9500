"""A weighting and an aggregator are told the gradients of the losses, whatever the backward has put into them."""

import pytest
import torch
from torch import Tensor, nn

from hf_mtl.balancing import NonFiniteRows, build_aggregator, build_weighting
from hf_mtl.gradients import JacobianRows
from hf_mtl.processes import Processes
from hf_mtl.training.step.decision import Decision, inverse
from hf_mtl.training.step.result import StepResult
from tests.training.step.parts import parts

GRADIENTS = torch.tensor([[1.0, -2.0, 0.5, 0.0], [0.25, 4.0, -1.0, 2.0], [-3.0, 1.0, 1.0, 1.0]])
FACTORS = torch.tensor([2.0, 0.5, 4.0]).double()
"""Exposure and the schedules' coefficient of each task, powers of two: no rounding."""


def rows_of(gradients: Tensor) -> tuple[nn.Parameter, JacobianRows]:
    """One parameter, and its gradients by task."""
    parameter = nn.Parameter(torch.zeros(gradients.shape[1]))
    rows = JacobianRows([parameter], [], len(gradients), torch.float32, Processes(), whole=True)
    rows.begin()
    for task, gradient in enumerate(gradients):
        parameter.grad = gradient.clone()
        rows.add_task(task)
    rows.close()
    return parameter, rows


def result_of(factors: Tensor) -> StepResult:
    ones = torch.ones(len(factors)).double()
    return StepResult(ones, ones, ones, ones, ones, factors=factors, unweighted=factors)


def decision_of(weighting: str, aggregator: str | None, log_every: int = 1) -> Decision:
    built = None if aggregator is None else build_aggregator(aggregator, num_tasks=3)
    if built is not None:
        built.observe(seed=0)
    decision = Decision(parts().model, build_weighting(weighting, num_tasks=3), built, log_every)
    decision.begin()
    return decision


def test_the_inverse_of_nothing_is_nothing() -> None:
    assert inverse(torch.tensor([2.0, 0.0, -4.0])).tolist() == [0.5, 0.0, -0.25]


def test_without_an_aggregator_the_gradients_are_added_up_as_they_are() -> None:
    parameter, rows = rows_of(GRADIENTS)
    ((found, direction),) = decision_of("ew", None).direction(rows, result_of(FACTORS), 1.0)
    assert found is parameter
    assert torch.equal(direction, GRADIENTS.sum(0))


@pytest.mark.parametrize("aggregator", ["sum", "mgda", "pcgrad", "graddrop"])
def test_an_aggregator_decides_on_the_losses_and_the_scalers_factor_stays_in_the_gradient(aggregator: str) -> None:
    directions, seen = [], []
    for scale, factors in ((1.0, torch.ones(3).double()), (1.0, FACTORS), (8.0, FACTORS)):
        _, rows = rows_of(GRADIENTS * factors.float()[:, None] * scale)
        decision = decision_of("ew", aggregator)
        ((_, direction),) = decision.direction(rows, result_of(factors), scale)
        decision.record(lambda gramian, _: seen.append(gramian))
        directions.append(direction / scale)
    for direction in directions[1:]:
        torch.testing.assert_close(direction, directions[0])
    for gramian in seen:
        torch.testing.assert_close(gramian, (GRADIENTS @ GRADIENTS.T).double())
    assert len(seen) == 3


def test_a_norm_that_is_not_finite_is_told_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = GRADIENTS.clone()
    gradients[1, 2] = torch.inf
    _, rows = rows_of(gradients)
    decision = decision_of("gradnorm", None)
    monkeypatch.setattr(decision.weighting, "scope", "all")
    monkeypatch.setattr(decision.weighting, "observe", lambda **_: pytest.fail("it was told"))
    with pytest.raises(NonFiniteRows) as caught:
        decision.tell_weighting(rows, torch.ones(3).double(), torch.ones(3).bool())
    assert list(caught.value.tasks) == [1]


@pytest.mark.parametrize(
    ("aggregator", "log_every", "seen"),
    [
        ("graddrop", 3, [0, 3, 6]),
        ("graddrop", 0, []),
        ("mgda", 3, list(range(7))),  # decides by inner products, which the log has for nothing
    ],
)
def test_inner_products_that_nothing_decides_by_are_looked_at_now_and_then(
    aggregator: str, log_every: int, seen: list[int]
) -> None:
    decision, found = decision_of("ew", aggregator, log_every), []
    for step in range(7):
        decision.begin()
        list(decision.direction(rows_of(GRADIENTS)[1], result_of(FACTORS), 1.0))
        decision.record(lambda gramian, weights, step=step: found.append(step))
    assert found == seen
