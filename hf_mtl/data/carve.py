"""Validation and test rows from train, where a dataset brings none; and the draw of `max_rows`."""

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.permutation import derive_key, uniform
from hf_mtl.data.targets import target_moments


def carve(keys: NDArray[np.uint64], fractions: dict[str, float], seed: int) -> dict[str, NDArray[np.bool_]]:
    """Choose rows of train for validation, test or both, each by its own key and the seed alone.

    A key becomes a number in [0, 1): the lowest are test, the highest are validation. So a row stays where it is when
    the file grows, when another task reads it, and in test whatever the fraction of validation.

    Args:
        keys: Key of each row's text, uint64 [n].
        fractions: Share of the rows that each split gets, on average; together below 1.
        seed: Seed of the draw.

    Returns:
        The rows of each split, bool [n].
    """
    numbers = uniform(derive_key(seed, "carve", keys))
    found = {"test": numbers < fractions.get("test", 0), "validation": numbers >= 1 - fractions.get("validation", 0)}
    return {split: found[split] for split in fractions}


def quintiles(targets: np.ndarray) -> np.ndarray:
    """Return the fifth that each row belongs to by the mean of its standardised targets.

    Shape:
        targets [n, D], NaN where not given, but for one of each row -> int [n], in 0..4.
    """
    mean, spread = target_moments(targets)
    scores = np.nanmean((targets - mean) / np.where(spread > 0, spread, 1), axis=1)
    # Ranks and not values, so that every fifth has as many rows, however the targets are spread.
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[np.argsort(scores, kind="stable")] = np.arange(len(scores))
    return ranks * 5 // max(1, len(scores))


def draw(count: int, limit: int, seed: int) -> np.ndarray:
    """Draw ``limit`` of ``count`` rows without replacement, in their order."""
    return np.sort(np.random.default_rng([seed, 1]).choice(count, size=limit, replace=False))
