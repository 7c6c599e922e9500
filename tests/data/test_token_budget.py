from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_mtl.data.token_budget import BatchLimit, cut_by_size, cut_evenly, default_eval_tokens

LENGTHS = st.lists(st.integers(1, 50), max_size=40)
LIMITS = st.builds(BatchLimit, st.none() | st.integers(1, 150), st.none() | st.integers(1, 9), padded=st.booleans())


def held(batch: np.ndarray, lengths: np.ndarray, padded: bool) -> int:
    """Tokens of a batch."""
    return len(batch) * int(lengths[batch].max()) if padded else int(lengths[batch].sum())


def keeps(batch: np.ndarray, lengths: np.ndarray, limit: BatchLimit) -> bool:
    if len(batch) == 1:
        return True
    fits = limit.tokens is None or held(batch, lengths, limit.padded) <= limit.tokens
    return fits and (limit.rows is None or len(batch) <= limit.rows)


def fewest(lengths: list[int], limit: BatchLimit) -> int:
    """Fewest batches that hold rows from the longest to the shortest, by trying every way to cut them."""
    ordered = np.array(sorted(lengths, reverse=True))
    best = [0]
    for stop in range(1, len(ordered) + 1):
        best.append(min(best[a] + 1 for a in range(stop) if keeps(np.arange(a, stop), ordered, limit)))
    return best[-1]


@given(LENGTHS, LIMITS)
def test_batches_are_as_few_as_the_limit_allows_and_hold_similar_lengths(
    given_lengths: list[int], limit: BatchLimit
) -> None:
    lengths = np.array(given_lengths, dtype=np.int32)
    batches = cut_by_size(lengths, limit)
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    assert all(len(batch) > 0 and keeps(batch, lengths, limit) for batch in batches)
    assert len(batches) == fewest(given_lengths, limit)
    assert all(lengths[one].min() >= lengths[other].max() for one, other in pairwise(batches))


@given(LENGTHS, LIMITS, st.integers(1, 5))
def test_each_process_has_as_many_batches_as_the_first_or_one_fewer(
    given_lengths: list[int], limit: BatchLimit, world: int
) -> None:
    lengths = np.array(given_lengths, dtype=np.int32)
    batches, least = cut_evenly(lengths, limit, world), fewest(given_lengths, limit)
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    assert all(keeps(batch, lengths, limit) for batch in batches)
    assert least <= len(batches) <= -(-least // world) * world


@pytest.mark.parametrize("padded", [False, True])
def test_no_process_waits_for_another_where_rows_can_be_cut_finer(padded: bool) -> None:
    lengths = np.random.default_rng(0).integers(5, 60, 900)
    batches = cut_evenly(lengths, BatchLimit(20_000, padded=padded), 4)
    tokens = [held(batch, lengths, padded) for batch in batches]
    assert len(batches) == 4
    assert max(tokens) < 1.1 * min(tokens), "20,000 tokens would leave two of them without rows"


def test_rows_of_one_length_keep_their_order_and_none_make_no_batch() -> None:
    batches = cut_by_size(np.array([3, 3, 7, 3]), BatchLimit(6))
    assert [batch.tolist() for batch in batches] == [[2], [0, 1], [3]]
    assert (
        cut_by_size(np.empty(0, dtype=np.int32), BatchLimit(6)) == cut_evenly(np.empty(0, int), BatchLimit(), 2) == []
    )


def test_an_accelerator_gets_more_tokens_at_once_than_a_cpu() -> None:
    assert default_eval_tokens(torch.device("cpu")) < default_eval_tokens(torch.device("cuda"))
