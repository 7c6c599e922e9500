from typing import Any

import pytest
import torch

from hf_mtl.balancing import AGGREGATORS, Teleporting, build_aggregator
from hf_mtl.balancing.aggregators.cost import COST
from hf_mtl.errors import UserError
from tests.balancing.aggregators.golden import assert_near, cases, golden, random_rows, tensor

GOLDEN = golden("cost_trigger")
OPPOSITE = tensor([[1.0, 0.0], [-3.0, 0.0]])
AGREEING = tensor([[1.0, 0.0], [1.0, 1.0]])


def cost(tasks: int, **options: Any) -> COST:
    aggregator = build_aggregator("cost", num_tasks=tasks, **options)
    assert isinstance(aggregator, COST)
    return aggregator


@cases(GOLDEN)
def test_golden_trigger_and_weights(case: dict[str, Any]) -> None:
    rows, expected = tensor(case["inputs"]["jacobian"]), case["expected"]
    conflict = cost(len(rows)).conflict(rows @ rows.T)
    assert_near(conflict.cosines, expected["cosine_to_mean"], GOLDEN)
    assert_near(conflict.sharpness_weights, expected["sharpness_ratio"], GOLDEN)
    assert conflict.triggered == expected["trigger"]


def test_a_call_is_the_base() -> None:
    rows = random_rows(3, 5)
    assert torch.equal(cost(3, base="mgda")(rows), build_aggregator("mgda", num_tasks=3)(rows))
    assert torch.equal(cost(3)(rows), build_aggregator("mean", num_tasks=3)(rows))


def test_the_training_that_it_needs_is_declared() -> None:
    assert "adapter_training" in AGGREGATORS["cost"].needs
    assert "losses" in cost(2, base="db_mtl").needs
    aggregator = cost(2, rank=3)
    assert isinstance(aggregator, Teleporting)
    assert (aggregator.rank, aggregator.last) == (3, None)
    assert (cost(2, base="nash_mtl").degree, cost(2, base="mgda").degree) == (0.0, 1.0)


def test_a_search_is_due_once_per_epoch_after_the_start_and_only_in_conflict() -> None:
    aggregator = cost(2, start_epoch=1)
    assert not aggregator.due(5)
    aggregator(OPPOSITE)
    assert not aggregator.due(0)
    assert aggregator.due(1)
    assert not aggregator.due(1)
    assert aggregator.due(2)
    aggregator(AGREEING)
    assert not aggregator.due(3)


def test_the_epoch_searched_last_is_state() -> None:
    aggregator, restored = cost(2, base="pcgrad"), cost(2, base="pcgrad")
    aggregator(OPPOSITE)
    assert aggregator.due(3)
    restored.load_state_dict(aggregator.state_dict())
    restored(OPPOSITE)
    assert not restored.due(3)
    assert restored.state_dict()["base.draws"] == 2


def test_a_mean_of_zero_is_a_conflict_and_absent_tasks_are_none() -> None:
    assert cost(2).conflict(tensor([[1.0, -1.0], [-1.0, 1.0]])).triggered
    conflict = cost(3).conflict(tensor([[1.0, 0.0, 0.5], [0.0, 0.0, 0.0], [0.5, 0.0, 1.0]]))
    assert not conflict.triggered
    assert conflict.sharpness_weights.tolist() == [1.0, 0.0, 1.0]
    assert not cost(2).conflict(torch.zeros(2, 2)).triggered


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base": "cost"}, "base: unknown base 'cost'"),
        ({"base": "sam_mtl"}, "base: unknown base 'sam_mtl'"),
        ({"rank": 0}, "rank: found 0. Allowed: at least 1"),
        ({"start_epoch": -1}, "start_epoch: found -1. Allowed: at least 0"),
        (
            {"scope": "last_layer"},
            "scope: found 'last_layer', and 'cost' moves all",
        ),
        ({"scope": "adapters"}, "scope: found 'adapters', and 'cost' moves all"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_aggregator("cost", num_tasks=2, **options)
