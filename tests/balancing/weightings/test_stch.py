import math
import warnings
from typing import Any

import pytest
import torch

from hf_mtl.balancing import LossWeighting, build_weighting
from hf_mtl.errors import UserError
from tests.balancing.weightings.golden import Golden, derivative, doubles, reloaded

GOLDEN = Golden("stch")
PARTLY = torch.tensor([True, False])


def with_nadir(nadir: Any, **options: Any) -> LossWeighting:
    """A weighting past its warm-up of no epochs and its one step of N."""
    if options.get("variant") != "plain":
        options["warmup_epochs"] = 0
    weighting = build_weighting("stch", num_tasks=len(nadir), **options)
    weighting.observe(steps_per_epoch=1)
    weighting(doubles(nadir))
    return weighting


@pytest.mark.parametrize("case", GOLDEN.cases)
def test_scalar_and_effective_weights_equal_the_golden_ones(case: dict[str, Any]) -> None:
    inputs, expected = case["inputs"], case["expected"]
    if inputs["form"] == "plain":
        weighting = build_weighting("stch", num_tasks=len(inputs["losses"]), variant="plain", mu=inputs["mu"])
        weighting.observe(preference=inputs["preference"], ideal=inputs["ideal"])
    else:
        weighting = with_nadir(inputs["nadir"], mu=inputs["mu"])
    GOLDEN.same(weighting.scalar(doubles(inputs["losses"])), expected["scalar"])
    GOLDEN.same(derivative(weighting, inputs["losses"]), expected["effective_weights"])
    GOLDEN.same(weighting.weights(), expected["effective_weights"])


def test_the_golden_forms_are_all_here() -> None:
    assert {case["inputs"]["form"] for case in GOLDEN.cases} == {"plain", "log_nadir"}


@pytest.mark.parametrize("restore", [False, True])
def test_the_phases_follow_the_epochs(restore: bool) -> None:
    weighting = build_weighting("stch", num_tasks=2, warmup_epochs=2)
    losses, nadir = [0.5, 2.0], [[1.0, 3.0], [2.0, 5.0]]
    steps = [losses] * 4 + nadir + [losses] * 2
    scalars = []
    for step in steps:
        weighting = reloaded(weighting, warmup_epochs=2) if restore else weighting
        weighting.observe(steps_per_epoch=2)
        scalars.append(float(weighting(doubles(step))))
    f = torch.log(doubles(losses) / doubles([1.5, 4.0]))
    expected = [math.log(a * b) for a, b in steps[:6]] + [2 * float(torch.logsumexp(f, 0))] * 2
    assert scalars == pytest.approx(expected)


def test_the_end_of_the_warm_up_keeps_the_sum_of_relative_weights() -> None:
    weighting = with_nadir([1.0, 4.0, 0.1])
    gradient = derivative(weighting, [1.0, 4.0, 0.1])
    assert gradient.tolist() == pytest.approx([1.0, 0.25, 10.0])  # of sum log L as well


def test_a_small_mu_is_the_worst_task_alone() -> None:
    losses = [0.9, 2.0]
    assert float(with_nadir([1.0, 1.0], mu=1e-3)(doubles(losses))) == pytest.approx(2 * math.log(2.0))
    plain = build_weighting("stch", num_tasks=2, variant="plain", mu=1e-3)
    assert float(plain(doubles(losses))) == pytest.approx(1.0)  # the preference is 1/2


@pytest.mark.parametrize("variant", ["plain", "log_nadir"])
def test_a_partial_step_is_that_of_its_tasks_alone(variant: str) -> None:
    present = torch.tensor([True, False, True])
    whole, part = with_nadir([1.0, 2.0, 3.0], variant=variant), with_nadir([1.0, 3.0], variant=variant)
    whole.observe(preference=[0.2, 0.3, 0.5])
    part.observe(preference=[0.2, 0.5])
    losses = doubles([0.7, math.nan, 0.4])
    assert float(whole.scalar(losses, present)) == pytest.approx(float(part.scalar(losses[present])), rel=1e-14)
    assert derivative(whole, losses, present)[present].tolist() == pytest.approx(
        derivative(part, losses[present]).tolist()
    )


def test_a_task_without_rows_in_the_epoch_of_the_nadir_takes_its_next_loss() -> None:
    weighting = build_weighting("stch", num_tasks=2, warmup_epochs=0)
    weighting.observe(steps_per_epoch=1)
    with pytest.warns(UserWarning, match="holds one task"):
        weighting(doubles([2.0, math.nan]), PARTLY)
    assert float(weighting(doubles([2.0, 7.0]))) == pytest.approx(2 * math.log(2.0))  # f = 0, 0
    assert float(weighting(doubles([2.0, 14.0]))) == pytest.approx(2 * math.log(1.0 + 2.0))
    assert weighting.state_dict()["counts"].tolist() == [1, 1]


def test_losses_of_zero_stay_finite_in_every_phase() -> None:
    weighting = build_weighting("stch", num_tasks=2, warmup_epochs=1)
    weighting.observe(steps_per_epoch=1)
    for losses in ([0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0]):
        assert bool(torch.isfinite(derivative(weighting, losses)).all())


def test_an_epoch_of_unknown_length_is_said_once() -> None:
    weighting = build_weighting("stch", num_tasks=2)
    with pytest.warns(UserWarning, match="'stch' does not know how long an epoch is"):
        weighting(doubles([1.0, 2.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weighting(doubles([1.0, 2.0]))


@pytest.mark.parametrize("order", [("steps_per_epoch", "total_steps"), ("total_steps", "steps_per_epoch")])
@pytest.mark.parametrize(("total", "said"), [(30, 1), (29, 1), (31, 0)])
def test_a_run_that_ends_within_the_warm_up_is_said_once(
    order: tuple[str, str], total: int, said: int, caplog: pytest.LogCaptureFixture
) -> None:
    weighting = build_weighting("stch", num_tasks=2, warmup_epochs=2)
    facts = {"steps_per_epoch": 10, "total_steps": total}
    for _ in range(2):
        for key in order:
            weighting.observe(**{key: facts[key]})
        weighting.observe(**facts)
    assert [record.getMessage() for record in caplog.records] == [
        f"The run ends after {total} steps, and the weighting 'stch' begins after 30: all of it minimises the sum of "
        "log losses, and mu has no effect. Lower warmup_epochs."
    ] * said


def test_without_a_warm_up_no_run_is_too_short(caplog: pytest.LogCaptureFixture) -> None:
    build_weighting("stch", num_tasks=2, variant="plain").observe(steps_per_epoch=10, total_steps=1)
    build_weighting("stch", num_tasks=2).observe(steps_per_epoch=10, total_steps=None)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"variant": "linear"}, r"variant: unknown value 'linear'\. Known: "),
        ({"mu": 0.0}, "mu: found 0.0. Allowed: "),
        ({"warmup_epochs": -1}, "warmup_epochs: found -1. Allowed: "),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"balancing.weighting.{said}"):
        build_weighting("stch", num_tasks=2, **options)
