from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting
from hf_mtl.errors import UserError
from tests.balancing.weightings.golden import Golden, doubles, reloaded

GOLDEN = Golden("excess_mtl")


@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("case", GOLDEN.cases)
def test_weights_of_every_step_equal_the_golden_ones(case: dict[str, Any], restore: bool) -> None:
    eta, jacobians = case["inputs"]["robust_step_size"], case["inputs"]["jacobians"]
    weighting = build_weighting("excess_mtl", num_tasks=len(jacobians[0]), eta=eta)
    for jacobian, expected in zip(jacobians, case["expected"]["weights_sum_K"], strict=True):
        weighting.observe(jacobian=doubles(jacobian))
        weighting = reloaded(weighting, eta=eta) if restore else weighting
        GOLDEN.same(weighting.weights(), expected)
        weighting(torch.ones(len(jacobian)))
        GOLDEN.same(weighting.weights(), expected)


def test_the_first_observation_is_the_baseline_and_moves_nothing() -> None:
    weighting = build_weighting("excess_mtl", num_tasks=2, eta=1.0)
    weighting.observe(jacobian=torch.tensor([[1.0, 2.0], [0.0, 0.0]]))
    assert weighting.weights().tolist() == [1.0, 1.0]
    weighting.observe(jacobian=torch.tensor([[0.0, 0.0], [3.0, 0.0]]))
    assert weighting.weights().tolist() == [1.0, 1.0]  # the second task's first


def test_an_absent_task_keeps_its_state_and_shares_the_rescaling() -> None:
    weighting = build_weighting("excess_mtl", num_tasks=3, eta=0.5)
    for _ in range(2):
        weighting.observe(jacobian=torch.tensor([[1.0, 2.0], [0.5, 0.0], [4.0, 1.0]]).double())
    before, state = weighting.weights(), {key: value.clone() for key, value in weighting.state_dict().items()}
    weighting.observe(jacobian=torch.tensor([[3.0, 3.0], [0.0, 0.0], [0.0, 0.0]]).double())
    after = weighting.weights()
    assert after[0] > before[0]
    assert float(after[1] / after[2]) == pytest.approx(float(before[1] / before[2]), rel=1e-12)
    for key in ("squares", "baseline"):
        assert torch.equal(weighting.state_dict()[key][1:], state[key][1:])


def test_a_row_that_is_not_finite_is_ignored() -> None:
    weighting = build_weighting("excess_mtl", num_tasks=2)
    weighting.observe(jacobian=torch.tensor([[float("nan"), 1.0], [1.0, 1.0]]))
    assert weighting.state_dict()["squares"].tolist() == [[0.0, 0.0], [1.0, 1.0]]


def test_a_weight_that_all_but_vanished_comes_back() -> None:
    weighting = build_weighting("excess_mtl", num_tasks=2, eta=200.0)
    rows = torch.tensor([[1.0], [1.0]], dtype=torch.float64)
    weighting.observe(jacobian=rows)
    for scale in ([100.0, 0.01], [100.0, 0.01], [0.0, 1e6], [0.0, 1e6]):
        weighting.observe(jacobian=rows * doubles(scale)[:, None])
    assert weighting.weights()[1] > 1.9  # in logarithms: exp(-1e4) would be 0 for ever


def test_no_weight_vanishes() -> None:
    weighting = build_weighting("excess_mtl", num_tasks=3, eta=200.0)
    rows = torch.ones(3, 2, dtype=torch.float64)
    weighting.observe(jacobian=rows)
    weighting.observe(jacobian=rows * doubles([100.0, 10.0, 0.01])[:, None])
    smallest = weighting.weights().min()
    assert weighting.state_dict()["log_w"].min() < -100  # the state has no such bound
    assert float(smallest) == pytest.approx(3e-10, rel=1e-5)
    assert float((smallest.float() * torch.tensor(1e-20)).abs()) > 0  # what a gradient of float32 holds
    assert float(weighting.weights().sum()) == pytest.approx(3.0)


def test_squares_of_short_rows_are_summed_in_float32() -> None:
    short, exact = (build_weighting("excess_mtl", num_tasks=2, eta=0.5) for _ in range(2))
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):  # in bfloat16 a sum stops growing at 256 times a term
        rows = (torch.randn(2, 5, generator=generator).abs() + 0.5).bfloat16()
        short.observe(jacobian=rows)
        exact.observe(jacobian=rows.float())
        assert short.state_dict()["squares"].dtype == torch.float32
        for key, value in exact.state_dict().items():
            assert torch.equal(short.state_dict()[key], value), key
    assert reloaded(short).state_dict()["squares"].dtype == torch.float32


def test_squares_are_kept_as_precise_as_the_jacobian() -> None:
    weighting = build_weighting("excess_mtl", num_tasks=2)
    weighting.observe(jacobian=torch.ones(2, 5))
    assert weighting.state_dict()["squares"].dtype == torch.float32
    assert reloaded(weighting).state_dict()["squares"].dtype == torch.float32


def test_a_jacobian_of_another_shape_is_refused() -> None:
    weighting = build_weighting("excess_mtl", num_tasks=2)
    weighting.observe(jacobian=torch.ones(2, 5))
    with pytest.raises(ValueError, match=r"jacobian has shape \(2, 4\); needs \(2, 5\)"):
        weighting.observe(jacobian=torch.ones(2, 4))
    with pytest.raises(ValueError, match=r"jacobian has shape \(3, 4\); needs \(2, 4\)"):
        build_weighting("excess_mtl", num_tasks=2).observe(jacobian=torch.ones(3, 4))


def test_a_step_size_that_is_not_positive_is_refused() -> None:
    with pytest.raises(UserError, match="eta: found 0. Allowed: "):
        build_weighting("excess_mtl", num_tasks=2, eta=0)
