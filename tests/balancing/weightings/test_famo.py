import math
from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting
from hf_mtl.errors import UserError
from tests.balancing.weightings.golden import Golden, derivative, doubles, reloaded

GOLDEN = Golden("famo")
PARTLY = torch.tensor([True, False, True])


@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("case", GOLDEN.cases)
def test_every_step_equals_the_golden_one(case: dict[str, Any], restore: bool) -> None:
    inputs, expected = case["inputs"], case["expected"]
    options = {"gamma": inputs["gamma"], "lr": inputs["lr"]}
    weighting = build_weighting("famo", num_tasks=len(inputs["losses_before"][0]), **options)
    for step, (before, after) in enumerate(zip(inputs["losses_before"], inputs["losses_after"], strict=True)):
        weighting = reloaded(weighting, **options) if restore else weighting
        GOLDEN.same(weighting.scalar(doubles(before)), expected["scalar"][step])
        GOLDEN.same(derivative(weighting, before), expected["effective_weights"][step])
        GOLDEN.same(weighting.weights(), expected["effective_weights"][step])
        weighting = reloaded(weighting, **options) if restore else weighting
        weighting.observe(losses_after=after)
        GOLDEN.same(weighting.state_dict()["logits"], expected["logits_after"][step])


def test_it_is_torchs_adam_on_the_softmax() -> None:
    weighting = build_weighting("famo", num_tasks=3, gamma=0.05, lr=0.1)
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=0.1, weight_decay=0.05)
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        before, after = torch.rand(2, 3, generator=generator, dtype=torch.float64) + 0.1
        weighting(before)
        weighting.observe(losses_after=after)
        delta = torch.log(before + 1e-8) - torch.log(after + 1e-8)
        (w.grad,) = torch.autograd.grad(torch.softmax(w, 0), w, delta)
        optimizer.step()
        assert torch.allclose(weighting.state_dict()["logits"], w.detach(), rtol=1e-10)


def test_a_task_that_falls_slowly_gains_weight() -> None:
    weighting = build_weighting("famo", num_tasks=2)
    for _ in range(3):
        weighting(doubles([1.0, 1.0]))
        weighting.observe(losses_after=[0.5, 0.99])
    weighting(doubles([1.0, 1.0]))
    assert weighting.weights()[1] > weighting.weights()[0]


def test_the_next_batch_can_stand_in_for_the_second_forward() -> None:
    reusing, exact = (build_weighting("famo", num_tasks=2, reuse_next_batch=reuse) for reuse in (True, False))
    assert reusing.needs_now() == {"losses"}
    assert exact.needs_now() == {"losses", "losses_after"}
    steps = [[1.0, 2.0], [0.5, 1.9], [0.4, 1.0]]
    for losses, following in zip(steps, [*steps[1:], None], strict=True):
        assert float(reusing(doubles(losses))) == float(exact(doubles(losses)))
        reusing = reloaded(reusing, reuse_next_batch=True)
        if following:
            exact.observe(losses_after=following)


def test_the_scalar_looks_ahead_to_what_the_next_batch_teaches() -> None:
    weighting = build_weighting("famo", num_tasks=3, reuse_next_batch=True, lr=0.5)
    for losses in ([1.0, 2.0, 0.3], [0.5, 1.9, 0.4], [0.4, math.nan, 0.1], [0.2, 1.0, 0.1]):
        present = torch.tensor([value == value for value in losses])
        state = {key: value.clone() for key, value in weighting.state_dict().items()}
        peeked = [float(weighting.scalar(doubles(losses), present)) for _ in range(2)]
        assert all(torch.equal(value, state[key]) for key, value in weighting.state_dict().items())
        assert peeked == [float(weighting(doubles(losses), present))] * 2
    assert float(weighting.state_dict()["logits"].abs().max()) > 0.5


def test_a_partial_step_is_that_of_its_tasks_alone() -> None:
    whole, part = build_weighting("famo", num_tasks=3), build_weighting("famo", num_tasks=2)
    for before, after in (([1.0, 2.0], [0.7, 1.9]), ([0.6, 1.5], [0.6, 1.0])):
        total = whole(doubles([before[0], math.nan, before[1]]), PARTLY)
        assert float(total) == pytest.approx(float(part(doubles(before))), rel=1e-14)
        whole.observe(losses_after=[after[0], 123.0, after[1]])
        part.observe(losses_after=after)
    assert whole.state_dict()["logits"].tolist() == pytest.approx(
        [part.state_dict()["logits"][0].item(), 0.0, part.state_dict()["logits"][1].item()]
    )
    assert whole.weights()[1] == 0


def test_one_task_is_the_plain_loss_up_to_a_factor() -> None:
    assert derivative(build_weighting("famo", num_tasks=1), [0.3]).tolist() == pytest.approx([1.0])


def test_losses_of_zero_stay_finite() -> None:
    weighting = build_weighting("famo", num_tasks=2)
    assert bool(torch.isfinite(derivative(weighting, [0.0, 1.0])).all())
    weighting.observe(losses_after=[0.0, -1.0])
    assert bool(torch.isfinite(weighting.state_dict()["logits"]).all())


def test_a_loss_that_is_not_finite_teaches_nothing() -> None:
    weighting = build_weighting("famo", num_tasks=3)
    weighting(doubles([1.0, 1.0, 1.0]))
    weighting.observe(losses_after=[0.5, math.nan, 1.0])
    logits = weighting.state_dict()["logits"]
    assert logits[1] == 0
    assert bool(torch.isfinite(logits).all())


@pytest.mark.parametrize(
    ("options", "said"),
    [({"gamma": -1.0}, "gamma: found -1.0. Allowed: "), ({"lr": 0.0}, "lr: found 0.0. Allowed: ")],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"balancing.weighting.{said}"):
        build_weighting("famo", num_tasks=2, **options)
