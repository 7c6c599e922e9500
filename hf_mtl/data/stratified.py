"""Fewer rows of a task, with the class distribution that it had or without regard to it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.permutation import derive_key, permute


def class_quotas(counts: Sequence[int] | NDArray[np.integer], total: int) -> NDArray[np.int64]:
    """Return the rows of each class in a smaller split with the same class distribution.

    ``total * N_c / N`` by largest remainder, in integers; of equal remainders the lower class wins. Each class that
    has rows keeps at least one, where ``total`` is enough for that, at the cost of the largest quota.

    Args:
        counts: Rows N_c of each class, [C].
        total: Rows of the smaller split, at most all.

    Returns:
        Rows of each class, summing to ``total``, [C].

    Raises:
        ValueError: If there are fewer rows than ``total``, or none.
    """
    available = np.asarray(counts, dtype=np.int64)
    rows = int(available.sum())
    if not 0 < total <= rows:
        raise ValueError(f"{total} of {rows} rows")
    quotas, remainders = np.divmod(available * total, rows)
    # Stable: equal remainders go to the lower class.
    quotas[np.argsort(-remainders, kind="stable")[: total - int(quotas.sum())]] += 1
    if total >= np.count_nonzero(available):
        for empty in np.flatnonzero((available > 0) & (quotas == 0)):
            quotas[np.argmax(quotas)] -= 1
            quotas[empty] = 1
    return quotas


def stratified_rows(name: str, strata: NDArray[np.integer], total: int, seed: int) -> NDArray[np.int64]:
    """Draw so many rows of one task, of each stratum its share.

    Args:
        name: The task's name, by which tasks are drawn apart.
        strata: Stratum of each row, such as its class, int [n]; `Task.strata` gives it.
        total: Rows to draw, at most n.
        seed: Seed of the draw.

    Returns:
        Row numbers, ascending, [total].
    """
    values, members = np.unique(strata, return_inverse=True)
    counts = np.bincount(members.reshape(-1), minlength=len(values))
    # Stable, so that the rows of a class stay in their order: what a key draws depends on it.
    pools = np.split(np.argsort(members.reshape(-1), kind="stable"), np.cumsum(counts)[:-1])
    chosen = []
    for value, pool, quota in zip(values, pools, class_quotas(counts, total), strict=True):
        key = derive_key(seed, "imbalance", name, int(value))
        chosen.append(pool[permute(np.arange(int(quota)), len(pool), key)])
    return np.sort(np.concatenate(chosen))


def nested_rows(
    keys: NDArray[np.uint64], strata: NDArray[np.integer] | None, fraction: float, seed: int
) -> NDArray[np.int64]:
    """Take a fraction of the rows, so that those of a smaller fraction are among those of a larger one.

    Rows are put in one order, of which a fraction is the beginning: by their texts and the seed, so that tasks which
    read the same texts take the same. With strata, the k-th row of a stratum of N stands at (k + ½) / N, and first
    rows of strata before all others: the shares of strata stay about what they were, and none is lost unless there
    are fewer rows than strata.

    Args:
        keys: Key of each row's text, uint64 [n].
        strata: Stratum of each row, int [n]; None: they do not matter.
        fraction: In (0, 1].
        seed: Seed of the order.

    Returns:
        Row numbers, ascending, [fraction * n rounded, at least 1].
    """
    total = max(1, int(fraction * len(keys) + 0.5))
    # Stable: of rows with one text the earlier comes first.
    order = np.argsort(derive_key(seed, "train_fraction", keys), kind="stable")
    if strata is not None:
        members = np.unique(strata, return_inverse=True)[1].reshape(-1)[order]
        sizes = np.bincount(members)
        grouped = np.argsort(members, kind="stable")
        ranks = np.empty(len(order), dtype=np.int64)
        ranks[grouped] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        order = order[np.lexsort(((ranks + 0.5) / sizes[members], ranks > 0))]
    return np.sort(order[:total])
