from typing import Any

import pytest
import torch
from torch import Tensor

from hf_mtl.balancing import LossWeighting, build_weighting
from hf_mtl.balancing.weightings.rlw import RLW
from hf_mtl.errors import UserError
from tests.balancing.weightings.golden import Golden, derivative, doubles, reloaded

NORMAL, DIRICHLET = Golden("rlw_normal"), Golden("rlw_dirichlet")
ONES = torch.ones(3, dtype=torch.float64)


def draws(weighting: LossWeighting, count: int) -> Tensor:
    rows = []
    for _ in range(count):
        weighting(torch.ones(weighting.num_tasks))
        rows.append(weighting.weights())
    return torch.stack(rows)


@pytest.mark.parametrize("case", NORMAL.cases)
def test_injected_normals_give_the_golden_weights(case: dict[str, Any]) -> None:
    normals = case["inputs"]["standard_normals"]
    weighting = build_weighting("rlw", num_tasks=len(normals))
    assert torch.equal(derivative(weighting, [1.0] * len(normals), normals=normals), weighting.weights())
    NORMAL.same(weighting.weights(), case["expected"]["weights"])
    weighting.observe(normals=normals)
    NORMAL.same(weighting.weights(), case["expected"]["weights"])
    weighting(torch.ones(len(normals)))
    NORMAL.same(weighting.weights(), case["expected"]["weights"])


def test_injected_normals_are_for_one_step() -> None:
    weighting, other = build_weighting("rlw", num_tasks=3), build_weighting("rlw", num_tasks=3)
    weighting(ONES, normals=[5.0, 0.0, 0.0])
    other(ONES)
    assert torch.equal(draws(weighting, 1), draws(other, 1))


@pytest.mark.parametrize("case", DIRICHLET.cases)
def test_dirichlet_draws_have_the_golden_moments(case: dict[str, Any]) -> None:
    weighting = build_weighting("rlw", num_tasks=case["inputs"]["K"], distribution="dirichlet")
    weighting.observe(seed=0)
    assert isinstance(weighting, RLW)
    drawn = []
    for step in range(20_000):  # a step's draw without its forward, which would take ten times as long
        weighting.steps = step
        drawn.append(weighting.coefficients())
    rows = torch.stack(drawn)
    DIRICHLET.same(rows.mean(0), [case["expected"]["mean_each"]] * case["inputs"]["K"])
    covariance = torch.cov(rows.T)
    DIRICHLET.same(covariance.diagonal(), [case["expected"]["variance_each"]] * case["inputs"]["K"])
    DIRICHLET.same(covariance[0, 1], case["expected"]["covariance_pair"])


def test_normal_draws_are_softmaxed_standard_normals() -> None:
    weighting = build_weighting("rlw", num_tasks=3)
    weighting.observe(seed=1)
    logs = draws(weighting, 4000).log()
    gaps = logs[:, 0] - logs[:, 1]  # N(0, 2); standard errors 0.022 and 0.045
    assert float(gaps.mean()) == pytest.approx(0.0, abs=0.1)
    assert float(gaps.var()) == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("distribution", ["normal", "dirichlet"])
def test_a_step_has_one_draw_and_the_next_another(distribution: str) -> None:
    weighting = build_weighting("rlw", num_tasks=3, distribution=distribution)
    before = weighting.weights()
    assert torch.equal(weighting.coefficients(), before)
    weighting.scalar(ONES)
    weighting(ONES)
    assert torch.equal(weighting.weights(), before)
    weighting(ONES)
    assert not torch.equal(weighting.weights(), before)


@pytest.mark.parametrize("distribution", ["normal", "dirichlet"])
def test_the_next_draw_after_a_resume_is_the_same(distribution: str) -> None:
    weighting = build_weighting("rlw", num_tasks=3, distribution=distribution)
    weighting.observe(seed=2**40 + 1)
    draws(weighting, 5)
    resumed = reloaded(weighting, distribution=distribution)
    assert torch.equal(draws(weighting, 3), draws(resumed, 3))


def test_processes_of_one_seed_agree_and_other_seeds_differ() -> None:
    first, second, third = (build_weighting("rlw", num_tasks=3) for _ in range(3))
    for weighting, seed in ((first, 7), (second, 7), (third, 8)):
        weighting.observe(seed=seed)
    rows = draws(first, 2)
    assert torch.equal(rows, draws(second, 2))
    assert not torch.equal(rows, draws(third, 2))


def test_a_draw_moves_no_other_random_stream() -> None:
    before = torch.get_rng_state()
    draws(build_weighting("rlw", num_tasks=3), 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_distribution_and_normals_for_dirichlet_are_refused() -> None:
    with pytest.raises(UserError, match=r"distribution: unknown value 'uniform'\. Known: "):
        build_weighting("rlw", num_tasks=2, distribution="uniform")
    with pytest.raises(ValueError, match="normals= are not for distribution 'dirichlet'"):
        build_weighting("rlw", num_tasks=2, distribution="dirichlet")(torch.ones(2), normals=[0.0, 0.0])
    with pytest.raises(ValueError, match="normals has 1 values; needs one for each of 2 tasks"):
        build_weighting("rlw", num_tasks=2).observe(normals=doubles([0.0]))
