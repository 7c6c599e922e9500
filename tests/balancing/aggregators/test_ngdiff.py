from typing import Any

import pytest
import torch

from hf_mtl.balancing import build_aggregator
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN = golden("aggregator_ngdiff")


@cases(GOLDEN)
def test_golden_gradient_and_weights(case: dict[str, Any]) -> None:
    rows = tensor(case["inputs"]["jacobian"])
    aggregator = build_aggregator("ngdiff", num_tasks=len(rows), signs=case["inputs"]["signs"])
    assert_near(aggregator(rows), case["expected"]["gradient"], GOLDEN)
    weights = aggregator.weights()
    assert weights is not None
    assert_near(weights, case["expected"]["weights"], GOLDEN)


def test_signs_must_be_given() -> None:
    with pytest.raises(UserError, match="aggregator.signs: missing"):
        build_aggregator("ngdiff", num_tasks=2)


def test_with_all_signs_positive_unit_gradients_are_added() -> None:
    rows = random_rows(3, 4)
    unit = rows / rows.norm(dim=1, keepdim=True)
    assert torch.allclose(build_aggregator("ngdiff", num_tasks=3, signs=[1] * 3)(rows), unit.sum(dim=0))


def test_signs_may_be_named() -> None:
    rows = random_rows(2, 4)
    named = build_aggregator("ngdiff", num_tasks=2, signs={"keep": 1, "forget": -1})
    assert torch.equal(named(rows), build_aggregator("ngdiff", num_tasks=2, signs=[1, -1])(rows))


def test_a_task_to_be_unlearned_is_not_learned_when_it_is_alone() -> None:
    rows = random_rows(2, 4)
    rows[0] = 0
    assert torch.equal(build_aggregator("ngdiff", num_tasks=2, signs=[1, -1])(rows), -rows[1])


@pytest.mark.parametrize("signs", [[1.0], [1.0, 0.0], [1.0, -2.0]])
def test_wrong_signs_are_refused(signs: list[float]) -> None:
    with pytest.raises(UserError, match="signs: found .* Allowed: "):
        build_aggregator("ngdiff", num_tasks=2, signs=signs)
