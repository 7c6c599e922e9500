from collections.abc import Iterator

import numpy as np
import pytest

from hf_mtl.errors import UserError
from hf_mtl.experiments.affinity.grouping import (
    exhaustive,
    group_value,
    partition_value,
    partition_weights,
    propose_groups,
    spectral,
)


def partitions(tasks: int) -> Iterator[list[list[int]]]:
    """Every partition, by where each task goes."""
    found: list[list[list[int]]] = [[]]
    for task in range(tasks):
        found = [
            option
            for groups in found
            for option in (
                [*groups, [task]],
                *([*groups[:at], [*groups[at], task], *groups[at + 1 :]] for at in range(len(groups))),
            )
        ]
    yield from found


def planted(sizes: list[int], seed: int = 0) -> tuple[np.ndarray, list[list[int]]]:
    """Affinities that are high within groups, of tasks in a random order."""
    random = np.random.default_rng(seed)
    names = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    values = np.where(names[:, None] == names, 1.0, -0.5) + 0.1 * random.normal(size=(len(names),) * 2)
    firsts = dict.fromkeys(names.tolist())
    return values, [np.flatnonzero(names == name).tolist() for name in firsts]


def test_the_value_of_a_group_is_the_sum_of_mean_affinities_to_each_and_0_alone() -> None:
    values = np.array([[9.0, 1.0, 2.0], [3.0, 9.0, 4.0], [5.0, 6.0, 9.0]])
    assert group_value(values, [0]) == 0
    assert group_value(values, [0, 1]) == 1 + 3
    assert group_value(values, [0, 1, 2]) == (3 + 5) / 2 + (1 + 6) / 2 + (2 + 4) / 2
    assert partition_value(values, [[0, 1], [2]]) == 4
    for groups in ([[0, 1], [2]], [[0, 1, 2]], [[0], [1], [2]]):
        assert (partition_weights(3, groups) * values).sum() == pytest.approx(partition_value(values, groups))


@pytest.mark.parametrize("most", [1, 2, 3, 6])
@pytest.mark.parametrize("seed", range(4))
def test_exhaustive_is_the_best_of_all_partitions(most: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(6, 6))
    assert sum(1 for _ in partitions(6)) == 203
    best = max(partition_value(values, groups) for groups in partitions(6) if len(groups) <= most)
    found = exhaustive(values, most)
    assert sorted(task for group in found for task in group) == list(range(6))
    assert len(found) <= most
    assert partition_value(values, found) == pytest.approx(best, abs=1e-12)


def test_of_equal_partitions_the_fewest_groups_are_proposed_and_harm_leaves_each_alone() -> None:
    assert propose_groups(np.zeros((4, 4))) == [[0, 1, 2, 3]]
    assert propose_groups(-np.ones((4, 4))) == [[0], [1], [2], [3]]
    assert propose_groups(-np.ones((3, 3)), groups=1) == [[0, 1, 2]]


def test_ten_tasks_are_searched_and_planted_groups_found() -> None:
    values, groups = planted([4, 3, 3])
    assert propose_groups(values, groups=3) == groups


def test_twelve_tasks_are_clustered_and_planted_groups_found() -> None:
    values, groups = planted([5, 4, 3], seed=1)
    assert propose_groups(values, groups=3) == groups == propose_groups(values, groups=3, seed=3)
    assert len(propose_groups(values, groups=2)) == 2
    assert partition_value(values, propose_groups(values)) >= partition_value(values, groups)


def test_clusters_that_help_nobody_are_left_for_one_group_or_none() -> None:
    assert spectral(np.ones((12, 12)), 12, 0) == [list(range(12))]
    assert spectral(-np.ones((12, 12)), 12, 0) == [[task] for task in range(12)]


def test_no_groups_and_no_numbers_are_refused() -> None:
    with pytest.raises(UserError, match="--groups: is 0"):
        propose_groups(np.zeros((3, 3)), groups=0)
    with pytest.raises(UserError, match="not finite"):
        propose_groups(np.full((3, 3), np.nan))
