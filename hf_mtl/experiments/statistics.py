"""Statistics over seeds: how sure a mean is, whether two methods differ, and by how much.

All take one value per run, of which ``a`` and ``b`` are paired by seed where that matters. A NaN among the values
(a run that diverged) makes the result NaN: leaving the run out would flatter its method.

Distributions, tests and correlations are `scipy.stats`'. Cliff's delta, Hedges' g and Holm's correction it has not.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = Sequence[float] | NDArray[np.floating]

# Spreads below this share of the values are rounding: far above that of float64, far below that of scores.
_ROUNDING = 1e-12


class MeanInterval(NamedTuple):
    """A mean with its 95% confidence interval.

    Args:
        mean: Mean over the runs.
        low: Lower end of the interval; NaN if n is 1.
        high: Upper end of the interval; NaN if n is 1.
        n: Number of runs.
    """

    mean: float
    low: float
    high: float
    n: int


class Correlation(NamedTuple):
    """Correlation of two quantities over runs.

    Args:
        pearson: Linear correlation; NaN if either quantity is constant.
        spearman: Correlation of the ranks; NaN if either quantity is constant.
        n: Number of runs.
    """

    pearson: float
    spearman: float
    n: int


def mean_interval(values: Values) -> MeanInterval:
    """Give the mean with its 95% interval, ± t_{.975, n-1} · sd / √n, sd with n - 1 in its denominator.

    One run has a mean but no interval (NaN at both ends). Equal values have an interval of no width.

    Args:
        values: One value per run [n].

    Raises:
        ValueError: If there are no values.
    """
    (sample,) = _samples(values)
    n, mean = len(sample), float(sample.mean())
    if n == 1:
        return MeanInterval(mean, math.nan, math.nan, n)
    half = float(stats.t.ppf(0.975, n - 1) * stats.sem(sample))
    return MeanInterval(mean, mean - half, mean + half, n)


def cliffs_delta(a: Values, b: Values) -> float:
    """Give Cliff's δ: share of the pairs (a_i, b_j) with a_i > b_j minus the share with a_i < b_j, in [-1, 1].

    Source: Cliff, Psychological Bulletin 114 (1993). With n runs of each it is (#> - #<) / n².

    Args:
        a: One value per run [n].
        b: The values of the other method [m]; no pairing by seed.

    Raises:
        ValueError: If there are no values of either.
    """
    first, second = _samples(a, b)
    if np.isnan(first).any() or np.isnan(second).any():
        return math.nan
    return float(np.sign(first[:, None] - second[None, :]).mean())


def hedges_g(a: Values, b: Values) -> float:
    """Give Hedges' g: (mean a - mean b) / pooled sd · (1 - 3 / (4 (n + m) - 9)).

    NaN with fewer than three runs in all, which have no pooled sd. Without any spread within the methods: 0 if the
    means are equal, else ±inf.

    Source: Hedges, Journal of Educational Statistics 6 (1981); the correction is its usual approximation.

    Args:
        a: One value per run [n].
        b: The values of the other method [m]; no pairing by seed.

    Raises:
        ValueError: If there are no values of either.
    """
    first, second = _samples(a, b)
    n, difference = len(first) + len(second), float(first.mean() - second.mean())
    if n < 3 or math.isnan(difference):
        return math.nan
    squares = float(((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum())
    deviation = math.sqrt(squares / (n - 2))
    rounding = _ROUNDING * max(float(np.abs(first).max()), float(np.abs(second).max()))
    if deviation <= rounding:
        return 0.0 if abs(difference) <= rounding else math.copysign(math.inf, difference)
    return difference / deviation * (1 - 3 / (4 * n - 9))


def holm(p_values: Values) -> list[float]:
    """Adjust p-values for their number: reject those at most α and the chance of any false rejection is at most α.

    The i-th smallest of m (from 0) becomes the largest of (m - j) p_j over j <= i, at most 1: never below the raw
    value, and in the same order.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979).

    Args:
        p_values: One per comparison [m]. A NaN, a comparison that could not be tested, stays NaN and is not counted.

    Raises:
        ValueError: If a p-value is not in [0, 1].
    """
    raw = np.asarray(p_values, dtype=np.float64).reshape(-1)
    tested = np.flatnonzero(~np.isnan(raw))
    if not ((raw[tested] >= 0) & (raw[tested] <= 1)).all():
        raise ValueError(f"p-values must be in [0, 1], found {raw.tolist()}")
    order = tested[np.argsort(raw[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted = np.full_like(raw, math.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * raw[order]), 1.0)
    return [float(value) for value in adjusted]


def early_signal_correlation(early: Values, final: Values, min_runs: int = 5) -> Correlation:
    """Correlate an early signal with a final score over runs, by value (Pearson) and by rank (Spearman).

    No run may have been selected by either quantity.

    Args:
        early: The signal of each run [n], such as a validation score of an early epoch.
        final: The final score of each run, in the same order [n].
        min_runs: Fewer runs than this are refused: a correlation of few points is noise.

    Raises:
        ValueError: If there are fewer than ``min_runs`` runs, or not the same number of both.
    """
    first, second = _pairs(early, final)
    n = len(first)
    if n < max(min_runs, 2):
        raise ValueError(f"a correlation needs {max(min_runs, 2)} runs or more, found {n}")
    if not _varies(first) or not _varies(second):
        return Correlation(math.nan, math.nan, n)
    pearson, spearman = stats.pearsonr(first, second), stats.spearmanr(first, second)
    return Correlation(float(pearson.statistic), float(spearman.statistic), n)


def _varies(values: NDArray[np.float64]) -> bool:
    # False also for NaN.
    return bool(np.ptp(values) > _ROUNDING * np.abs(values).max())


def _samples(*samples: Values) -> list[NDArray[np.float64]]:
    arrays = [np.asarray(sample, dtype=np.float64).reshape(-1) for sample in samples]
    if not all(len(array) for array in arrays):
        raise ValueError("there are no values")
    return arrays


def _pairs(a: Values, b: Values) -> list[NDArray[np.float64]]:
    arrays = _samples(a, b)
    if len(arrays[0]) != len(arrays[1]):
        raise ValueError(f"paired values must be of equal number, found {len(arrays[0])} and {len(arrays[1])}")
    return arrays
