from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_mtl.data.rectangles import by_length, length_groups, rectangles_of


def cost(groups: list[np.ndarray], lengths: np.ndarray, group_cost: int) -> int:
    return sum(len(group) * int(lengths[group].max()) + group_cost for group in groups)


def best_cost(lengths: list[int], group_cost: int) -> int:
    """Cheapest of all ways to cut the rows, sorted by length, into contiguous groups."""
    ordered = sorted(lengths)
    best = 10**9
    for number in range(len(ordered)):
        for cuts in combinations(range(1, len(ordered)), number):
            ends = [0, *cuts, len(ordered)]
            pieces = [ordered[a:b] for a, b in pairwise(ends)]
            best = min(best, sum(len(piece) * piece[-1] + group_cost for piece in pieces))
    return best


def set_partitions(rows: list[int]) -> list[list[list[int]]]:
    if not rows:
        return [[]]
    found = []
    for rest in set_partitions(rows[1:]):
        found.append([[rows[0]], *rest])
        found += [[*rest[:i], [rows[0], *rest[i]], *rest[i + 1 :]] for i in range(len(rest))]
    return found


@given(st.lists(st.integers(1, 40), min_size=1, max_size=9), st.integers(0, 60))
def test_groups_are_a_cheapest_disjoint_cover(given_lengths: list[int], group_cost: int) -> None:
    lengths = np.array(given_lengths)
    groups = length_groups(lengths, group_cost)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(lengths)))
    assert cost(groups, lengths, group_cost) == best_cost(given_lengths, group_cost)
    longest = [int(lengths[group].max()) for group in groups]
    assert longest == sorted(longest)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 30))
def test_no_grouping_at_all_is_cheaper(given_lengths: list[int], group_cost: int) -> None:
    lengths = np.array(given_lengths)
    every = set_partitions(list(range(len(lengths))))
    cheapest = min(cost([np.array(group) for group in groups], lengths, group_cost) for groups in every)
    assert cost(length_groups(lengths, group_cost), lengths, group_cost) == cheapest


@pytest.mark.parametrize("group_cost", [0, 16, 64, 5000, 10**6])
def test_many_lengths_are_grouped_as_cheaply_as_by_trying_every_cut(group_cost: int) -> None:
    lengths = np.random.default_rng(group_cost).integers(1, 300, 500)
    ordered = np.sort(lengths)
    best = [0]
    for stop in range(1, len(ordered) + 1):
        best.append(min(best[a] + (stop - a) * int(ordered[stop - 1]) + group_cost for a in range(stop)))
    assert cost(length_groups(lengths, group_cost), lengths, group_cost) == best[-1]


def test_rows_longer_than_16_bits_count_are_ordered_too() -> None:
    assert by_length(np.array([70_000, 3, 65_535, 3, 65_536])).tolist() == [1, 3, 2, 4, 0]


def test_each_rectangle_is_cut_by_task_on_its_own() -> None:
    lengths, tasks = np.array([2, 5, 2, 5, 5, 2]), np.array([0, 0, 1, 1, 3, 3])
    groups = [np.array([0, 2, 5]), np.array([1, 3, 4])]
    whose = [(0, 0, 1), (1, 1, 2), (3, 2, 3)]
    assert rectangles_of(lengths, groups, 0, tasks)["cuts"] == [whose, whose]
    alone = [np.array([0, 1]), np.array([2, 3]), np.array([4, 5])]
    assert rectangles_of(lengths, alone, 0, tasks)["cuts"] == [[(0, 0, 2)], [(1, 0, 2)], [(3, 0, 2)]]


def test_the_cost_of_a_group_decides_how_many_there_are() -> None:
    lengths = np.array([5, 30, 5, 30])
    assert [group.tolist() for group in length_groups(lengths, 49)] == [[0, 2], [1, 3]]
    assert len(length_groups(lengths, 51)) == 1


@settings(max_examples=50)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=9), st.integers(0, 30))
def test_rectangles_hold_each_token_once_and_padding_where_their_masks_say(
    given_lengths: list[int], cost: int
) -> None:
    lengths = np.array(given_lengths)
    rectangles = rectangles_of(lengths, length_groups(lengths, cost), pad_id=0)
    if rectangles["source"] is None or rectangles["place"] is None:
        assert all(mask is None for mask in rectangles["masks"])
        return
    total = int(lengths.sum())
    assert torch.equal(rectangles["source"][rectangles["place"]], torch.arange(total))
    shapes, masks = rectangles["shapes"], rectangles["masks"]
    real = torch.cat(
        [
            torch.ones(a * b, dtype=torch.bool) if m is None else m.flatten()
            for (a, b), m in zip(shapes, masks, strict=True)
        ]
    )
    assert int(real.sum()) == total
    assert torch.equal(real.nonzero()[:, 0].sort().values, rectangles["place"].sort().values)
    # Padding repeats its row's first token, wherever that is.
    starts = torch.from_numpy(np.cumsum(lengths) - lengths)
    assert bool(torch.isin(rectangles["source"][~real], starts).all())
