from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_aggregator
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN = golden("aggregator_gradvac")


@cases(GOLDEN)
def test_golden_steps(case: dict[str, Any]) -> None:
    steps, beta = case["inputs"]["steps"], case["inputs"]["beta"]
    tasks = len(steps[0]["jacobian"])
    aggregator = build_aggregator("gradvac", num_tasks=tasks, beta=beta)
    for step, expected in zip(steps, case["expected"]["steps"], strict=True):
        found = aggregator(tensor(step["jacobian"]), orders=step["orders"])
        assert_near(found, expected["gradient_sum"], GOLDEN)
        assert_near(aggregator.state_dict()["rho"], expected["rho_after"], GOLDEN)


def test_the_first_step_is_pcgrad() -> None:
    rows, orders = random_rows(2, 5) - 0.5, [[1], [0]]
    rows[1] = -rows[0] + 0.3 * rows[1]
    expected = build_aggregator("pcgrad", num_tasks=2)(rows, orders=orders)
    assert torch.allclose(build_aggregator("gradvac", num_tasks=2)(rows, orders=orders), expected)


def test_a_corrected_row_has_the_target_cosine() -> None:
    aggregator = build_aggregator("gradvac", num_tasks=2, beta=0.5)
    aggregator.load_state_dict({"rho": tensor([[0.0, 0.6], [0.6, 0.0]]), "draws": 0})
    rows = tensor([[1.0, 0.0], [0.0, 2.0]])
    direction = aggregator(rows, orders=[[1], [0]])
    # tan of the angle to the other row becomes 0.8 / 0.6 for both.
    assert direction.tolist() == pytest.approx([1.0 + 2.0 * 0.75, 2.0 + 0.75])


def test_pairs_with_an_absent_task_keep_their_average() -> None:
    aggregator = build_aggregator("gradvac", num_tasks=3, beta=0.5)
    aggregator(random_rows(3, 5))
    before = aggregator.state_dict()["rho"]
    rows = random_rows(3, 5, seed=1)
    rows[1] = 0
    aggregator(rows)
    after = aggregator.state_dict()["rho"]
    assert torch.equal(after[1], before[1])
    assert torch.equal(after[:, 1], before[:, 1])
    assert after[0, 2] != before[0, 2]


def test_a_target_of_one_stays_finite() -> None:
    aggregator = build_aggregator("gradvac", num_tasks=2, beta=1.0)
    row = random_rows(1, 4)
    aggregator(torch.cat([row, row]))
    assert bool(torch.isfinite(aggregator(random_rows(2, 4, seed=1))).all())


def test_beta_must_be_a_share() -> None:
    with pytest.raises(UserError, match="beta: found 1.5. Allowed: "):
        build_aggregator("gradvac", num_tasks=2, beta=1.5)
