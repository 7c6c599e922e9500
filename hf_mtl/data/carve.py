"""Validation rows from train, where a dataset brings none; and the draw of `max_rows`."""

import numpy as np


def carve(strata: np.ndarray, fraction: float, seed: int, keep_one: bool) -> np.ndarray:
    """Choose rows so that every stratum gives its share, by largest remainder.

    Args:
        strata: Stratum of each row, int [n].
        fraction: Share of rows to choose, in (0, 1).
        seed: Seed of the draw.
        keep_one: Leave at least one row of every stratum, so that no class goes out of train.

    Returns:
        The chosen rows, bool [n]; about ``fraction * n`` of them and at least one where that is possible.
    """
    values, counts = np.unique(strata, return_counts=True)
    limits = counts - 1 if keep_one else counts
    total = max(1, round(fraction * len(strata)))
    quotas = np.minimum(counts * total / max(1, len(strata)), limits)
    sizes = np.floor(quotas).astype(np.int64)
    # Stable: equal remainders go to the lower class first, on every machine.
    for index in np.argsort(-(quotas - sizes), kind="stable"):
        if sizes.sum() < total and sizes[index] < limits[index]:
            sizes[index] += 1
    chosen = np.zeros(len(strata), dtype=bool)
    generator = np.random.default_rng([seed, 0])
    for value, size in zip(values, sizes, strict=True):
        chosen[generator.permutation(np.flatnonzero(strata == value))[:size]] = True
    return chosen


def quintiles(targets: np.ndarray) -> np.ndarray:
    """Fifth that each row belongs to by its mean standardised target.

    Shape:
        targets [n, D] -> int [n], in 0..4.
    """
    spread = targets.std(axis=0)
    scores = ((targets - targets.mean(axis=0)) / np.where(spread > 0, spread, 1)).mean(axis=1)
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[np.argsort(scores, kind="stable")] = np.arange(len(scores))
    return ranks * 5 // max(1, len(scores))


def draw(count: int, limit: int, seed: int) -> np.ndarray:
    """Draw ``limit`` of ``count`` rows without replacement, in their order."""
    return np.sort(np.random.default_rng([seed, 1]).choice(count, size=limit, replace=False))
