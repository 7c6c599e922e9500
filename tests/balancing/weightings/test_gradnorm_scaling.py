from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_weighting
from hf_mtl.errors import UserError
from tests.balancing.weightings.golden import Golden, reloaded

GOLDEN = Golden("gradnorm_scaling")


@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("case", GOLDEN.cases)
def test_weights_of_every_measurement_equal_the_golden_ones(case: dict[str, Any], restore: bool) -> None:
    inputs = case["inputs"]
    options = {"kappa": inputs["kappa"], "beta": inputs["beta"]}
    weighting = build_weighting("gradnorm_scaling", num_tasks=len(inputs["gradient_norms"][0]), **options)
    for norms, expected in zip(inputs["gradient_norms"], case["expected"]["weights"], strict=True):
        weighting.observe(norms=norms)
        weighting = reloaded(weighting, **options) if restore else weighting
        GOLDEN.same(weighting.weights(), expected)
        weighting(torch.ones(len(norms)))
        GOLDEN.same(weighting.weights(), expected)


def test_norms_are_asked_for_in_the_first_step_and_every_so_many() -> None:
    weighting = build_weighting("gradnorm_scaling", num_tasks=2, every=3)
    asked = []
    for _ in range(7):
        asked.append("norms" in weighting.needs_now())
        weighting(torch.ones(2))
        if asked[-1]:
            weighting.observe(norms=[1.0, 2.0])
    assert asked == [True, False, False, True, False, False, True]
    assert reloaded(weighting, every=3).needs_now() == frozenset()


def test_norms_that_did_not_come_are_asked_for_until_they_do() -> None:
    weighting = build_weighting("gradnorm_scaling", num_tasks=2, every=4)
    asked = []
    for step in range(10):
        asked.append("norms" in weighting.needs_now())
        weighting(torch.ones(2))
        weighting = reloaded(weighting, every=4)
        if step in (2, 4, 8):  # of the others, a phase of the heads has none
            weighting.observe(norms=[1.0, 2.0])
    assert asked == [True, True, True, False, True, False, False, False, True, False]


def test_kappa_one_makes_weighted_norms_equal() -> None:
    weighting = build_weighting("gradnorm_scaling", num_tasks=3)
    norms = torch.tensor([0.1, 7.0, 2.0], dtype=torch.float64)
    weighting.observe(norms=norms)
    weighted = weighting.weights() * norms
    assert torch.allclose(weighted, weighted.mean().expand(3), rtol=1e-12)


def test_an_absent_tasks_norm_stays_and_an_unknown_one_counts_as_average() -> None:
    weighting = build_weighting("gradnorm_scaling", num_tasks=3, beta=0.5)
    weighting.observe(norms=[1.0, 3.0, 0.0])
    assert weighting.weights().tolist() == pytest.approx([3 * r / (2 + 2 / 3 + 1) for r in (2.0, 2 / 3, 1.0)])
    weighting.observe(norms=[3.0, 99.0, 99.0], present=[True, False, False])
    assert weighting.state_dict()["norms"].tolist() == [2.0, 3.0, 0.0]


def test_a_norm_of_next_to_nothing_or_that_is_not_finite_is_ignored() -> None:
    weighting, without = (build_weighting("gradnorm_scaling", num_tasks=3) for _ in range(2))
    without.observe(norms=[0.0, 1.0, 2.0], present=[False, True, True])
    for smallest in (0.0, 1e-13):
        weighting.observe(norms=[smallest, 1.0, 2.0], present=[True] * 3)
        assert weighting.weights().tolist() == pytest.approx(without.weights().tolist())
    weighting.observe(norms=[float("nan"), float("inf"), 2.0], present=[True] * 3)
    assert weighting.state_dict()["norms"].tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kappa": 2.5}, "kappa: found 2.5. Allowed: "),
        ({"beta": 1.0}, "beta: found 1.0. Allowed: "),
        ({"every": 0}, "every: found 0. Allowed: "),
        ({"scope": "heads"}, r"scope: unknown value 'heads'\. Known: "),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"balancing.weighting.{said}"):
        build_weighting("gradnorm_scaling", num_tasks=2, **options)
