"""Fewer rows of a task with the class distribution that it had."""

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
