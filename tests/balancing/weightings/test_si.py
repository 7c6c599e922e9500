from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting
from tests.balancing.weightings.golden import Golden, derivative, doubles

SI, UW_SO = Golden("ew_si_tw"), Golden("uw_so")


PARTLY = torch.tensor([True, False, True])


@pytest.mark.parametrize("case", SI.cases)
def test_si_equals_the_golden_values(case: dict[str, Any]) -> None:
    losses = case["inputs"]["losses"]
    weighting = build_weighting("si", num_tasks=len(losses))
    SI.same(weighting(doubles(losses)), case["expected"]["si_log_sum"])
    SI.same(weighting.weights(), case["expected"]["si_effective_weights"])
    SI.same(derivative(weighting, losses), case["expected"]["si_effective_weights"])


@pytest.mark.parametrize("loss", [0.0, 1e-9, 1e-8, -1.0])
def test_si_clamps_small_losses_which_have_no_gradient(loss: float) -> None:
    weighting = build_weighting("si", num_tasks=2)
    assert derivative(weighting, [loss, 0.5]).tolist() == [0.0, 2.0]
    assert float(weighting(doubles([loss, 1.0]))) == pytest.approx(torch.log(torch.tensor(1e-8)).item())


def test_si_with_all_losses_clamped_is_finite_under_a_weight_sum() -> None:
    weighting = build_weighting("si", num_tasks=2, weight_sum=4.0)
    assert derivative(weighting, [1e-8, 0.0]).tolist() == [0.0, 0.0]
    assert float(weighting(doubles([1e-8, 0.0]))) == pytest.approx(2 * torch.log(doubles(1e-8)).item())
    assert weighting.weights().tolist() == [0.0, 0.0]


def test_si_does_not_see_the_scale_of_a_loss() -> None:
    one, other = (build_weighting("si", num_tasks=2) for _ in range(2))
    parameter = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    for weighting, scale in ((one, 1.0), (other, 1000.0)):
        weighting(torch.stack([scale * parameter**2, parameter.exp()])).backward()
        found, parameter.grad = parameter.grad, None
        assert found is not None
        assert float(found) == pytest.approx(2 / 0.7 + 1)


@pytest.mark.parametrize("name", ["si", "uw_o"])
def test_an_absent_task_keeps_the_weight_of_its_last_loss(name: str) -> None:
    weighting = build_weighting(name, num_tasks=3)
    weighting(doubles([1.0, 4.0, 0.5]))
    gradient = derivative(weighting, [2.0, float("nan"), 0.25], PARTLY)
    assert weighting.weights().tolist() == pytest.approx([0.5, 0.25, 4.0])
    assert gradient.tolist() == pytest.approx([1.5 * 0.5, 0.0, 1.5 * 4.0])


@pytest.mark.parametrize("name", ["si", "uw_o"])
def test_a_task_never_seen_counts_as_the_mean_of_those_that_were(name: str) -> None:
    weighting = build_weighting(name, num_tasks=3)
    weighting(doubles([2.0, float("inf"), 4.0]), PARTLY)
    assert weighting.weights().tolist() == pytest.approx([0.5, 1 / 3, 0.25])
