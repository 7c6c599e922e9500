"""The partition of tasks into groups that their affinities propose."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hf_mtl.errors import Mistake, UserError
from hf_mtl.experiments.affinity.matrix import Matrix

EXHAUSTIVE = 10
"""Up to so many tasks every partition is looked at."""
_TIE = 1e-12

Groups = list[list[int]]


def group_value(values: Matrix, group: Sequence[int]) -> float:
    """Sum over the tasks of a group the mean affinity of the others to each; 0 for a task alone.

    Args:
        values: Affinity of task i to task j, [T, T].
        group: The places of its tasks.
    """
    if len(group) < 2:
        return 0.0
    inside = values[np.ix_(group, group)]
    return float((inside.sum() - np.trace(inside)) / (len(group) - 1))


def partition_value(values: Matrix, groups: Iterable[Sequence[int]]) -> float:
    """Add up the values of groups."""
    return sum(group_value(values, group) for group in groups)


def partition_weights(tasks: int, groups: Iterable[Sequence[int]]) -> Matrix:
    """Return by what each affinity counts in the value of groups, [T, T].

    Args:
        tasks: Number of tasks.
        groups: The places of the tasks of each group.
    """
    found = np.zeros((tasks, tasks))
    for group in groups:
        if len(group) > 1:
            found[np.ix_(group, group)] = 1 / (len(group) - 1)
    np.fill_diagonal(found, 0.0)
    return found


def propose_groups(values: Matrix, groups: int | None = None, seed: int = 0) -> Groups:
    """Find the partition of the largest value: of all up to 10 tasks, else of those that spectral clustering gives.

    Args:
        values: Affinity of task i to task j, [T, T], finite.
        groups: The most groups that there may be; None: as many as tasks.
        seed: Of spectral clustering.

    Returns:
        The groups as places of their tasks, ascending, in the order of their first tasks. Of equal ones the fewest
        groups.

    Raises:
        UserError: If a number is not finite, or there is to be no group.
    """
    tasks = len(values)
    most = tasks if groups is None else min(groups, tasks)
    if most < 1:
        raise UserError(Mistake("--groups", f"is {groups}", "Allowed: 1 or more"))
    if not np.isfinite(values).all():
        raise UserError("an affinity is not finite: a loss of the joint run is not, or it was measured on nothing")
    return exhaustive(values, most) if tasks <= EXHAUSTIVE else spectral(values, most, seed)


def exhaustive(values: Matrix, most: int) -> Groups:
    """Look at every partition into at most so many groups: by what is best for each subset of the tasks.

    Args:
        values: As above.
        most: The most groups.
    """
    tasks = len(values)
    members = [[task for task in range(tasks) if subset >> task & 1] for subset in range(1 << tasks)]
    alone = [group_value(values, mine) for mine in members]
    # best[subset]: value and first group of the best partition of the subset into exactly `count` groups.
    best = {subset: (alone[subset], subset) for subset in range(1, 1 << tasks)}
    tables = [best]
    for _ in range(1, most):
        tables.append(_one_more(tables[-1], alone))
    whole = (1 << tasks) - 1
    # Of equal partitions the one with the fewest groups: a later one must be better by more than rounding.
    count = 0
    for place in range(1, len(tables)):
        if whole in tables[place] and tables[place][whole][0] > tables[count][whole][0] + _TIE:
            count = place
    found, left = [], whole
    for place in range(count, -1, -1):
        group = tables[place][left][1]
        found.append(members[group])
        left ^= group
    return found


def _one_more(fewer: dict[int, tuple[float, int]], alone: Sequence[float]) -> dict[int, tuple[float, int]]:
    """Find for each subset its best partition into one group more: the one with its first task, and the rest."""
    found: dict[int, tuple[float, int]] = {}
    for subset in range(1, len(alone)):
        first = subset & -subset
        rest = subset ^ first
        others, options = rest, []
        while others:  # what is left to the other groups: every subset of the rest but none of it
            if others in fewer:
                options.append((alone[subset ^ others] + fewer[others][0], subset ^ others))
            others = (others - 1) & rest
        if options:
            found[subset] = max(options)
    return found


def spectral(values: Matrix, most: int, seed: int) -> Groups:
    """Cluster by the mean of both directions, into each number of groups that may be, and keep the best.

    Not the best of all partitions: of those that scikit-learn's `SpectralClustering` gives. It wants similarities
    from 0 on, so that the lowest affinity is the origin.

    Args:
        values: As above.
        most: The most groups.
        seed: Seed.
    """
    from sklearn.cluster import SpectralClustering

    tasks = len(values)
    similar = (values + values.T) / 2
    np.fill_diagonal(similar, similar[~np.eye(tasks, dtype=bool)].max())
    similar = similar - similar.min()
    options: list[Groups] = [[list(range(tasks))]]
    for count in range(2, min(most, tasks - 1) + 1) if similar.any() else ():
        clusters = SpectralClustering(
            count, affinity="precomputed", assign_labels="cluster_qr", random_state=seed
        ).fit_predict(similar + _TIE)  # a graph in several parts has no single spectrum
        options.append(_as_groups(clusters))
    if most >= tasks:
        options.append([[task] for task in range(tasks)])
    return max(options, key=lambda groups: (partition_value(values, groups), -len(groups)))


def _as_groups(clusters: NDArray[np.int64]) -> Groups:
    names = list(dict.fromkeys(clusters.tolist()))
    return [np.flatnonzero(clusters == name).tolist() for name in names]
