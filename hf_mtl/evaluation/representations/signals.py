"""What early numbers say about late ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 5
"""Pairs below which a correlation is not given: two lines through four points say nothing."""


@dataclass(frozen=True)
class Correlation:
    """Correlations of pairs of numbers.

    Args:
        n: Pairs of which both are known.
        pearson: Of the values; NaN where there are fewer than 5 pairs, or one side is constant.
        spearman: Of their ranks; likewise.
    """

    n: int
    pearson: float
    spearman: float


def correlate(early: Sequence[float], final: Sequence[float]) -> Correlation:
    """Correlate early numbers with final ones; pairs with a NaN are left out.

    Args:
        early: A number of each run, or of each of a run's tasks.
        final: What became of it.

    Raises:
        ValueError: If they are not as many.
    """
    from scipy.stats import pearsonr, spearmanr

    first, second = np.asarray(early, dtype=np.float64), np.asarray(final, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"as many early numbers as final ones expected, found {len(first)} and {len(second)}")
    known = np.isfinite(first) & np.isfinite(second)
    first, second = first[known], second[known]
    if len(first) < FEWEST or np.ptp(first) == 0 or np.ptp(second) == 0:
        return Correlation(len(first), math.nan, math.nan)
    return Correlation(
        len(first), float(pearsonr(first, second).statistic), float(spearmanr(first, second).statistic)
    )
