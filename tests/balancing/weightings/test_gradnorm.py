from typing import Any

import pytest
import torch

from hf_mtl.balancing import LossWeighting, build_weighting
from hf_mtl.balancing.weightings.gradnorm import GradNorm
from hf_mtl.errors import UserError
from tests.balancing.weightings.golden import Golden, derivative, doubles, reloaded

GOLDEN = Golden("gradnorm")


def ready(initial: Any, **options: Any) -> LossWeighting:
    """A weighting that has seen its first losses."""
    weighting = build_weighting("gradnorm", num_tasks=len(initial), **options)
    for step in range(20):
        assert weighting.needs_now() == frozenset()
        weighting(doubles(initial) * (1 + 0.05 * (step - 9.5)))  # of this mean
    assert weighting.needs_now() == {"norms"}
    return weighting


@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("case", GOLDEN.cases)
def test_weights_after_every_step_equal_the_golden_ones(case: dict[str, Any], restore: bool) -> None:
    inputs = case["inputs"]
    options = {"alpha": inputs["alpha"], "lr": inputs["lr_sgd"]}
    weighting = ready(inputs["initial_losses"], **options)
    used = torch.ones(len(inputs["initial_losses"]), dtype=torch.float64)
    for losses, norms, expected in zip(
        inputs["losses"], inputs["unweighted_gradient_norms"], case["expected"]["weights_after"], strict=True
    ):
        GOLDEN.same(derivative(weighting, losses), used)  # the step's own weights do not depend on its own norms
        weighting = reloaded(weighting, **options) if restore else weighting
        weighting.observe(norms=norms)
        weighting = reloaded(weighting, **options) if restore else weighting
        used = weighting.weights()
        GOLDEN.same(used, expected)


@pytest.mark.parametrize("case", GOLDEN.cases)
def test_targets_objective_and_slope_of_every_step_equal_the_golden_ones(case: dict[str, Any]) -> None:
    inputs, expected = case["inputs"], case["expected"]
    weighting = ready(inputs["initial_losses"], alpha=inputs["alpha"], lr=inputs["lr_sgd"])
    assert isinstance(weighting, GradNorm)
    assert len(inputs["losses"]) == len(expected["objective"]) == 4
    for step, (losses, norms) in enumerate(zip(inputs["losses"], inputs["unweighted_gradient_norms"], strict=True)):
        w = weighting.weights().clone().requires_grad_()
        weighting(doubles(losses))
        weighting.observe(norms=norms)  # what it has learned from, at the weights before that
        objective = weighting.objective(w)
        (slope,) = torch.autograd.grad(objective, w)
        GOLDEN.same(weighting.targets(w), expected["target_norms"][step])
        GOLDEN.same(objective, expected["objective"][step])
        GOLDEN.same(slope, expected["grad_w"][step])
        assert not weighting.targets(w).requires_grad
        GOLDEN.same(weighting.weights(), expected["weights_after"][step])


def test_weights_stay_until_the_first_losses_are_known() -> None:
    weighting = build_weighting("gradnorm", num_tasks=2)
    for _ in range(19):
        weighting(doubles([1.0, 2.0]))
        weighting.observe(norms=[1.0, 9.0])
    assert weighting.weights().tolist() == [1.0, 1.0]
    weighting(doubles([1.0, 2.0]))
    weighting.observe(norms=[1.0, 9.0])
    assert weighting.weights()[0] > weighting.weights()[1]


def test_given_first_losses_are_used_at_once() -> None:
    one, other = ready([2.0, 0.5]), build_weighting("gradnorm", num_tasks=2)
    other.observe(initial_losses=[2.0, 0.5])
    for weighting in (one, other):
        weighting(doubles([1.0, 0.4]))
        weighting.observe(norms=[3.0, 1.0])
    assert one.weights().tolist() == pytest.approx(other.weights().tolist(), rel=1e-12)


def test_one_task_a_step_learns_from_the_others_last_norms() -> None:
    weighting = ready([1.0, 1.0], alpha=0.0)
    for task, norm in ((0, 4.0), (1, 1.0), (0, 4.0)):
        present = torch.arange(2) == task
        weighting(doubles([1.0, 1.0]), present)
        weighting.observe(norms=torch.where(present, norm, 0.0))
    # Task 1: 1 below the mean of 4 and 1, + lr; task 0: 4 above it, - 4 lr; each time brought to the sum 2.
    second = doubles([1.0, 1.025]) * 2 / 2.025
    third = second - doubles([0.1, 0.0])
    assert weighting.weights().tolist() == pytest.approx((third * 2 / third.sum()).tolist())


def test_an_absent_task_only_takes_part_in_the_rescaling() -> None:
    weighting = ready([1.0, 1.0, 1.0])
    weighting(doubles([1.0, 1.0, 1.0]))
    weighting.observe(norms=[1.0, 2.0, 9.0])
    before = weighting.weights()
    state = {key: value.clone() for key, value in weighting.state_dict().items()}
    weighting(doubles([1.0, float("nan"), float("nan")]), torch.tensor([True, False, False]))
    weighting.observe(norms=[7.0, 0.0, 0.0])
    after = weighting.weights()
    assert float(after[1] / after[2]) == pytest.approx(float(before[1] / before[2]), rel=1e-14)
    assert after[0] < before[0]
    for key in ("reference", "losses", "norms", "count"):
        assert torch.equal(weighting.state_dict()[key][1:], state[key][1:])


def test_weights_stay_above_the_least_and_finite_with_zero_norms_and_losses() -> None:
    weighting = ready([0.0, 1.0], lr=10.0)
    for losses, norms in (([0.0, 0.0], [0.0, 0.0]), ([0.0, 1.0], [5.0, 1e-9]), ([1.0, 0.0], [1e9, 1.0])):
        weighting(doubles(losses))
        weighting.observe(norms=norms, present=[True, True])
        assert bool((weighting.weights() > 0).all() and torch.isfinite(weighting.weights()).all())
        assert float(weighting.weights().sum()) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"alpha": 3.5}, "alpha: found 3.5. Allowed: "),
        ({"lr": 0.0}, "lr: found 0.0. Allowed: "),
        ({"scope": "first_layer"}, r"scope: unknown value 'first_layer'\. Known: "),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"balancing.weighting.{said}"):
        build_weighting("gradnorm", num_tasks=2, **options)


def test_the_least_weight_is_a_thousandth_before_the_rescaling() -> None:
    weighting = ready([1.0, 1.0], lr=10.0)
    weighting(doubles([1.0, 1.0]))
    weighting.observe(norms=[9.0, 1.0])
    assert weighting.weights().min() == pytest.approx(2 * 1e-3 / (1e-3 + 11.0), rel=1e-6)
