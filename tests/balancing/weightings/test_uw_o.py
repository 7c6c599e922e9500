from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting
from tests.balancing.weightings.golden import Golden, derivative, doubles

SI, UW_SO = Golden("ew_si_tw"), Golden("uw_so")


@pytest.mark.parametrize("case", UW_SO.cases)
def test_uw_o_equals_the_golden_weights(case: dict[str, Any]) -> None:
    losses = case["inputs"]["losses"]
    weighting = build_weighting("uw_o", num_tasks=len(losses))
    UW_SO.same(derivative(weighting, losses), case["expected"]["uw_o_weights"])
    UW_SO.same(weighting.weights(), case["expected"]["uw_o_weights"])
    assert float(weighting(doubles(losses))) == pytest.approx(len(losses))


def test_uw_o_has_the_gradient_of_si() -> None:
    losses = [0.3, 7.0, 1e-6]
    first, second = (derivative(build_weighting(name, num_tasks=3), losses) for name in ("si", "uw_o"))
    assert torch.allclose(first, second, rtol=1e-14)


def test_uw_o_gives_a_loss_of_zero_the_largest_weight() -> None:
    assert derivative(build_weighting("uw_o", num_tasks=2), [0.0, 0.5]).tolist() == pytest.approx([1e8, 2.0])
