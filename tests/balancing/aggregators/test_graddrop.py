from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_aggregator
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN = golden("aggregator_graddrop")


@cases(GOLDEN)
def test_golden_gradient(case: dict[str, Any]) -> None:
    rows, uniforms = tensor(case["inputs"]["jacobian"]), tensor(case["inputs"]["uniform"])
    aggregator = build_aggregator("graddrop", num_tasks=len(rows), leak=case["inputs"]["leak"])
    assert_near(aggregator(rows, uniforms=uniforms), case["expected"]["gradient"], GOLDEN)


@cases(GOLDEN)
def test_a_column_turns_at_its_golden_purity(case: dict[str, Any]) -> None:
    rows, purity = tensor(case["inputs"]["jacobian"]), tensor(case["expected"]["purity"])
    aggregator = build_aggregator("graddrop", num_tasks=len(rows))
    below, above = purity * (1 - GOLDEN["rtol"]), purity + (1 - purity) * GOLDEN["rtol"]
    positive, negative = rows.clamp(min=0).sum(dim=0), rows.clamp(max=0).sum(dim=0)
    # At a purity of 0 no uniform number is below it, at 1 none above.
    assert torch.allclose(aggregator(rows, uniforms=below), torch.where(purity > 0, positive, negative))
    assert torch.allclose(aggregator(rows, uniforms=above), torch.where(purity < 1, negative, positive))


def test_the_expectation_is_the_signed_magnitude() -> None:
    # P(keep positive) = purity: the mean over draws is P * (sum of positives) + (1 - P) * (sum of negatives).
    rows = random_rows(3, 4)
    drawn = build_aggregator("graddrop", num_tasks=3)(rows.repeat(1, 5000)).reshape(5000, 4)
    purity = 0.5 * (1 + rows.sum(dim=0) / rows.abs().sum(dim=0))
    expected = purity * rows.clamp(min=0).sum(dim=0) + (1 - purity) * rows.clamp(max=0).sum(dim=0)
    assert torch.allclose(drawn.mean(dim=0), expected, atol=5 * float(drawn.std(dim=0).max()) / 5000**0.5)


def test_parameters_on_which_all_agree_are_never_dropped() -> None:
    rows = torch.cat([random_rows(3, 500).abs(), -random_rows(3, 500, seed=1).abs()], dim=1)
    assert torch.allclose(build_aggregator("graddrop", num_tasks=3)(rows), rows.sum(dim=0))


@pytest.mark.parametrize("extreme", [0.0, 1 - 2**-24])
def test_the_ends_of_the_uniform_range_drop_no_agreed_gradient(extreme: float) -> None:
    rows = torch.cat([random_rows(3, 300).abs(), -random_rows(3, 300).abs()], dim=1).float()
    found = build_aggregator("graddrop", num_tasks=3)(rows, uniforms=torch.full((600,), extreme))
    assert torch.allclose(found, rows.sum(dim=0))


def test_a_full_leak_drops_nothing() -> None:
    rows = random_rows(3, 50)
    assert torch.allclose(build_aggregator("graddrop", num_tasks=3, leak=1.0)(rows), rows.sum(dim=0))


def test_a_leak_by_task_is_in_task_order() -> None:
    rows, uniforms = random_rows(2, 50), torch.rand(50, generator=torch.Generator().manual_seed(0))
    by_name = build_aggregator("graddrop", num_tasks=2, leak={"first": 0.2, "second": 0.9})
    listed = build_aggregator("graddrop", num_tasks=2, leak=[0.2, 0.9])
    assert torch.equal(by_name(rows, uniforms=uniforms), listed(rows, uniforms=uniforms))


def test_draws_differ_between_steps_seeds_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_mtl.balancing.inner_products.BLOCK", 8)
    rows = tensor([[1.0] * 16, [-1.0] * 16])
    aggregator, other = build_aggregator("graddrop", num_tasks=2), build_aggregator("graddrop", num_tasks=2)
    other.observe(seed=1)
    first, second, third = aggregator(rows), aggregator(rows), other(rows)
    assert not torch.equal(first, second)
    assert not torch.equal(first, third)
    assert not torch.equal(first[:8], first[8:])


def test_the_size_of_blocks_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, uniforms = random_rows(3, 20), torch.rand(20, generator=torch.Generator().manual_seed(0))
    aggregator = build_aggregator("graddrop", num_tasks=3)
    expected = aggregator(rows, uniforms=uniforms)
    monkeypatch.setattr("hf_mtl.balancing.inner_products.BLOCK", 7)
    assert torch.equal(aggregator(rows, uniforms=uniforms), expected)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"leak": 1.5}, "leak: found 1.5. Allowed: at most 1"),
        ({"leak": [0.1]}, "Allowed: one number for each of 2 tasks"),
        ({"scope": "last_layer"}, "scope: found 'last_layer', and 'graddrop' draws for each parameter"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_aggregator("graddrop", num_tasks=2, **options)


def test_uniforms_must_be_one_per_parameter() -> None:
    with pytest.raises(ValueError, match=r"uniforms is \[2\]"):
        build_aggregator("graddrop", num_tasks=2)(random_rows(2, 3), uniforms=torch.rand(2))
