import math
from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting
from hf_mtl.errors import UserError
from tests.balancing.weightings.golden import Golden, doubles, reloaded

GOLDEN = Golden("imtl_l")


@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("case", GOLDEN.cases)
def test_steps_equal_the_golden_ones(case: dict[str, Any], restore: bool) -> None:
    inputs, expected = case["inputs"], case["expected"]
    weighting = build_weighting("imtl_l", num_tasks=len(inputs["s_init"]))
    weighting.load_state_dict({"s": doubles(inputs["s_init"])})
    for step, losses in enumerate(inputs["losses"]):
        weighting = reloaded(weighting) if restore else weighting
        (s,) = weighting.parameters()
        optimizer = torch.optim.SGD([s], lr=inputs["lr_sgd"])
        optimizer.zero_grad()
        total = weighting(doubles(losses))
        total.backward()
        assert s.grad is not None
        GOLDEN.same(total, expected["total"][step])
        GOLDEN.same(weighting.weights(), expected["weights"][step])
        GOLDEN.same(s.grad, expected["grad_s"][step])
        optimizer.step()
        weighting.after_step()


def test_it_is_twice_uw_half_at_minus_s() -> None:
    losses, s = doubles([0.4, 2.0, 1.1]), doubles([0.3, -1.0, 0.2])
    imtl, uw = build_weighting("imtl_l", num_tasks=3), build_weighting("uw", num_tasks=3, variant="half")
    imtl.load_state_dict({"s": s})
    uw.load_state_dict({"s": -s})
    assert imtl(losses).item() == pytest.approx(2 * uw(losses).item(), rel=1e-14)


def test_s_settles_where_its_exponential_is_the_inverse_loss() -> None:
    losses = doubles([0.2, 1.0, 3.0])
    weighting = build_weighting("imtl_l", num_tasks=3)
    optimizer = torch.optim.SGD(weighting.parameters(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        weighting(losses).backward()
        optimizer.step()
        weighting.after_step()
    assert weighting.weights().tolist() == pytest.approx((1 / losses).tolist(), rel=1e-6)


def test_after_a_step_s_is_back_in_its_range() -> None:
    weighting = build_weighting("imtl_l", num_tasks=2, clip=1.5)
    weighting.load_state_dict({"s": doubles([-3.0, 9.0])})
    weighting.after_step()
    assert weighting.state_dict()["s"].tolist() == [-1.5, 1.5]


def test_an_absent_tasks_s_has_no_gradient() -> None:
    weighting = build_weighting("imtl_l", num_tasks=2)
    weighting(doubles([3.0, math.nan]), torch.tensor([True, False])).backward()
    (s,) = weighting.parameters()
    assert s.grad is not None
    assert s.grad.tolist() == [2 * (3.0 - 1.0), 0.0]


def test_a_clip_that_is_not_positive_is_refused() -> None:
    with pytest.raises(UserError, match="clip: found 0. Allowed: "):
        build_weighting("imtl_l", num_tasks=2, clip=0)
