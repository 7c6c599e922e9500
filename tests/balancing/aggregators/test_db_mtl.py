from typing import Any

import pytest
import torch

from hf_mtl.balancing import FromGramian, build_aggregator
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN = golden("aggregator_db_mtl")
LOSSES = tensor([0.5, 2.0, 0.1])


@cases(GOLDEN)
def test_golden_steps(case: dict[str, Any]) -> None:
    inputs = case["inputs"]
    tasks = len(inputs["steps"][0]["losses"])
    options = {"beta": inputs["beta"], "sigma": inputs["beta_sigma"]}
    total, mean = (build_aggregator("db_mtl", num_tasks=tasks, reduction=how, **options) for how in ("sum", "mean"))
    for step, expected in zip(inputs["steps"], case["expected"]["gradient_sum"], strict=True):
        rows, losses = tensor(step["jacobian_of_raw_losses"]), tensor(step["losses"])
        found = total(rows, losses)
        assert_near(found, expected, GOLDEN)
        assert torch.allclose(mean(rows, losses), found / tasks)


def test_all_rows_are_brought_to_the_longest() -> None:
    rows = random_rows(3, 6) * tensor([1.0, 100.0, 0.01])[:, None]
    slopes = rows / LOSSES[:, None]
    norms = slopes.norm(dim=1, keepdim=True)
    expected = (slopes / norms).sum(dim=0) * norms.max()
    assert torch.allclose(build_aggregator("db_mtl", num_tasks=3, beta=0.0)(rows, LOSSES), expected, rtol=1e-6)


def test_only_without_an_average_inner_products_are_enough() -> None:
    plain, averaged = build_aggregator("db_mtl", num_tasks=3, beta=0.0), build_aggregator("db_mtl", num_tasks=3)
    assert plain.needs == {"gramian", "losses"}
    assert averaged.needs == {"jacobian", "losses"}
    assert not isinstance(averaged, FromGramian)
    assert isinstance(plain, FromGramian)
    rows = random_rows(3, 6)
    weights = plain.weights_from_gramian(rows @ rows.T, LOSSES)
    assert torch.allclose(weights @ rows, plain(rows, LOSSES))
    assert plain.state_dict()["average"].numel() == 0


def test_a_gramian_of_another_number_of_tasks_is_refused() -> None:
    plain = build_aggregator("db_mtl", num_tasks=3, beta=0.0)
    assert isinstance(plain, FromGramian)
    for wrong in (torch.eye(2), torch.eye(4), torch.ones(3)):
        with pytest.raises(ValueError, match=r"the Gramian is .*; needs \[3, 3\]"):
            plain.weights_from_gramian(wrong, LOSSES)


def test_an_absent_tasks_average_rests_and_is_left_out() -> None:
    aggregator = build_aggregator("db_mtl", num_tasks=3, sigma=0.5)
    aggregator(random_rows(3, 5), LOSSES)
    before = aggregator.state_dict()
    rows = random_rows(3, 5, seed=1)
    rows[1] = 0
    found = aggregator(rows, LOSSES)
    after = aggregator.state_dict()
    assert torch.equal(after["average"][1], before["average"][1])
    assert after["steps"].tolist() == [2, 1, 2]
    lengths = after["average"][[0, 2]].norm(dim=1, keepdim=True)
    expected = (after["average"][[0, 2]] / lengths).sum(dim=0) * lengths.max()
    assert torch.allclose(found, expected, rtol=1e-6)


def test_a_loss_of_zero_stays_finite() -> None:
    found = build_aggregator("db_mtl", num_tasks=3)(random_rows(3, 5), tensor([0.0, 1.0, 1.0]))
    assert bool(torch.isfinite(found).all())


def test_another_number_of_parameters_is_refused() -> None:
    aggregator = build_aggregator("db_mtl", num_tasks=3)
    aggregator(random_rows(3, 5), LOSSES)
    with pytest.raises(ValueError, match="the Jacobian has 6 columns, before 5"):
        aggregator(random_rows(3, 6), LOSSES)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"beta": 1.0}, "beta: found 1"),
        ({"sigma": -1.0}, "sigma: found -1"),
        ({"scope": "adapters"}, "unless beta is 0"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_aggregator("db_mtl", num_tasks=2, **options)


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_weights_are_the_methods_own_without_a_schedules_coefficients(beta: float) -> None:
    plain, scheduled = (build_aggregator("db_mtl", num_tasks=3, beta=beta) for _ in range(2))
    rows, gamma = random_rows(3, 6), tensor([0.5, 1.0, 0.0])
    plain(rows, LOSSES)
    scheduled(rows, LOSSES, coefficients=gamma)
    expected, found = plain.weights(), scheduled.weights()
    assert expected is not None
    assert found is not None
    assert torch.equal(found, expected)
