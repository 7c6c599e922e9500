import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_mtl.data.dealing import Deal
from hf_mtl.data.plan import StepPlan, partition
from hf_mtl.data.token_budget import BatchLimit


def plan_of(rows: int) -> StepPlan:
    counts = np.array([rows - rows // 3, rows // 3])
    tasks = np.repeat([0, 1], counts)
    return StepPlan(0, counts, counts, np.ones(2), tasks, np.arange(rows))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 200), st.booleans(), st.integers(1, 5))
def test_every_process_has_as_many_micro_batches_within_the_limit(
    given_lengths: list[int], tokens: int, padded: bool, world: int
) -> None:
    lengths = np.array(given_lengths, dtype=np.int32)
    parts = Deal(world, limit=BatchLimit(tokens, padded=padded)).parts(plan_of(len(lengths)), lengths, True)
    assert len(parts) % world == 0
    assert sorted(row for part in parts for row in part.tolist()) == list(range(len(lengths)))
    assert all((np.diff(part) > 0).all() for part in parts), "ordered by task"
    for part in parts:
        held = len(part) * lengths[part].max(initial=0) if padded else lengths[part].sum()
        assert len(part) <= 1 or held <= tokens
    assert len(parts[0]) > 0, "the first process always has a row"


def test_only_a_step_of_few_rows_leaves_micro_batches_without_any() -> None:
    deal = Deal(4, limit=BatchLimit(1000))
    lengths = np.full(40, 10)
    assert [len(part) for part in deal.parts(plan_of(40), lengths, True)] == [10, 10, 10, 10]
    assert [len(part) for part in deal.parts(plan_of(2), lengths[:2], True)] == [1, 1, 0, 0]


@pytest.mark.parametrize("by_length", [True, False])
def test_without_a_limit_rows_are_dealt_in_equal_numbers(by_length: bool) -> None:
    lengths = np.random.default_rng(0).integers(1, 50, 33)
    parts = Deal(2, 4).parts(plan_of(33), lengths, by_length)
    expected = partition(plan_of(33), lengths, 8, by_length)
    assert [part.tolist() for part in parts] == [part.tolist() for part in expected]
