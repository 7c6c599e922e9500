from typing import Any

import pytest
import torch
from torch import Tensor

from hf_mtl.balancing import AGGREGATORS, LookAhead, NonFiniteRows, build_aggregator
from hf_mtl.balancing.aggregator import base_names
from hf_mtl.balancing.aggregators.sam_mtl import flat_rows
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN = golden("aggregator_sam_mtl")


def gradients(inputs: dict[str, Any], points: Tensor) -> Tensor:
    """Gradient of each quadratic task at its own point, [T, P]."""
    a, c = tensor(inputs["A"]), tensor(inputs["c"])
    return torch.stack([a[t] @ (points[t] - c[t]) for t in range(len(a))])


@cases(GOLDEN)
@pytest.mark.parametrize("base", ["mean", "mgda"])
def test_golden_aggregate(case: dict[str, Any], base: str) -> None:
    inputs, expected = case["inputs"], case["expected"]
    theta = tensor(inputs["theta"]).expand(len(inputs["A"]), -1)
    rows = gradients(inputs, theta)
    assert_near(rows, expected["jacobian_loss"], GOLDEN)
    aggregator = build_aggregator("sam_mtl", num_tasks=len(rows), base=base, rho=inputs["rho"])
    assert isinstance(aggregator, LookAhead)
    assert aggregator.rho == inputs["rho"]
    perturbed = gradients(inputs, theta + aggregator.perturbations(rows))
    assert_near(perturbed, expected["jacobian_sam"], GOLDEN)
    assert_near(flat_rows(rows, perturbed), expected["jacobian_flat"], GOLDEN)
    aggregator.observe(jacobian=perturbed)
    assert_near(aggregator(rows), expected[f"aggregate_{base}"], GOLDEN)


def test_perturbations_have_length_rho_and_zero_rows_none() -> None:
    rows = random_rows(3, 5)
    rows[1] = 0
    moved = build_aggregator("sam_mtl", num_tasks=3, rho=0.2).perturbations(rows)  # type: ignore[attr-defined]
    assert moved.norm(dim=1).tolist() == pytest.approx([0.2, 0.0, 0.2])


def test_perturbed_rows_are_needed_before_each_call() -> None:
    aggregator, rows = build_aggregator("sam_mtl", num_tasks=2), random_rows(2, 3)
    with pytest.raises(ValueError, match=r"'sam_mtl' needs observe\(jacobian=\)"):
        aggregator(rows)
    aggregator.observe(jacobian=rows)
    assert torch.allclose(aggregator(rows), rows.mean(dim=0))
    with pytest.raises(ValueError, match="before each step"):
        aggregator(rows)


def test_a_perturbed_row_that_is_not_finite_moves_no_state() -> None:
    aggregator, rows = build_aggregator("sam_mtl", num_tasks=2, base="gradvac"), random_rows(2, 3)
    perturbed = rows.clone()
    perturbed[1, 0] = torch.inf
    aggregator.observe(jacobian=perturbed)
    with pytest.raises(NonFiniteRows) as raised:
        aggregator(rows)
    assert raised.value.tasks == (1,)
    assert aggregator.state_dict()["loss.draws"] == 0
    assert not aggregator.state_dict()["loss.rho"].any()


BASES = [name for name in base_names({"gramian", "jacobian"}) if AGGREGATORS[name].degree == 1]


@pytest.mark.parametrize("base", BASES)
def test_next_to_no_flatness_adds_next_to_nothing_by_any_base(base: str) -> None:
    rows = random_rows(3, 6)
    flatness = 1e-7 * random_rows(3, 6, seed=1)
    aggregator = build_aggregator("sam_mtl", num_tasks=3, base=base)
    aggregator.observe(jacobian=rows + flatness)
    alone = build_aggregator(base, num_tasks=3)
    found, expected = aggregator(rows), alone(rows)
    assert float((found - expected).norm()) <= 1e-5 * float(expected.norm())


def test_the_weights_are_those_of_the_first_part() -> None:
    rows = random_rows(3, 6)
    aggregator, alone = build_aggregator("sam_mtl", num_tasks=3, base="mgda"), build_aggregator("mgda", num_tasks=3)
    assert aggregator.weights() is None
    aggregator.observe(jacobian=random_rows(3, 6, seed=1))
    aggregator(rows)
    alone(rows)
    found, expected = aggregator.weights(), alone.weights()
    assert found is not None
    assert expected is not None
    assert torch.equal(found, expected)


def test_the_two_parts_draw_differently_and_remember_apart() -> None:
    aggregator = build_aggregator("sam_mtl", num_tasks=3, base="gradvac")
    aggregator.observe(seed=7)
    rows, perturbed = random_rows(3, 4), random_rows(3, 4, seed=1)
    aggregator.observe(jacobian=perturbed)
    aggregator(rows)
    state = aggregator.state_dict()
    assert not torch.equal(state["loss.rho"], state["flat.rho"])
    assert aggregator.parts["loss"].seed != aggregator.parts["flat"].seed  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base": "sam_mtl"}, "base: unknown base 'sam_mtl'. Known: aligned_mtl, cagrad"),
        ({"base": "db_mtl"}, "base: unknown base 'db_mtl'"),
        ({"base": "nash_mtl"}, "base: found 'nash_mtl', whose result does not shrink with its rows.*Known: "),
        ({"base": "fairgrad"}, "base: found 'fairgrad', whose result does not shrink"),
        ({"base": "ngdiff"}, "base: found 'ngdiff', whose result does not shrink"),
        ({"rho": 0.0}, "rho: found 0.0. Allowed: more than 0"),
        ({"scope": "adapters"}, "scope: found .*Allowed: 'all'"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_aggregator("sam_mtl", num_tasks=2, **options)
