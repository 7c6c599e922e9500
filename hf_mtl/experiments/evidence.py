"""How far two ways of training differ on a task, by what was repeated: seeds, folds, or only the rows scored."""

import math
from bisect import bisect_left
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hf_mtl.experiments.statistics import Values

Differences = NDArray[np.float64]

RESAMPLES = 10_000
_POWER = 0.8
_MOST_REPEATS = 10_000
_ROUNDING = 1e-12


class Evidence(NamedTuple):
    """A difference, in points, with what is known of its error.

    Args:
        difference: Mean difference.
        low: Lower end of its plain 95% interval, not corrected for other comparisons; NaN where nothing was repeated.
        high: Upper end.
        low90: Lower end of its 90% interval, by which two one-sided tests at 5% say that arms are equivalent.
        high90: Upper end.
        p: Two-sided p-value of no difference; NaN where nothing was repeated.
        n: Number of seeds, or of folds of all repeats; of a bootstrap the rows.
        spread: Standard deviation of the differences over seeds or folds; NaN of a bootstrap, which does not know it.
        by: ``seeds``, ``folds`` or ``rows``.
    """

    difference: float
    low: float
    high: float
    low90: float
    high90: float
    p: float
    n: int
    spread: float
    by: str

    def repeats_for(self, smallest: float, level: float = 0.05) -> int | None:
        """Tell how many seeds would show a difference as small as one of interest with a power of 80%.

        By the noncentral t distribution of a paired, two-sided test with the spread that was seen.

        Args:
            smallest: The smallest difference of interest, above 0.
            level: Level of the test.

        Returns:
            The number; None where the spread is not known, or not even 10,000 would do.
        """
        if self.by != "seeds" or not math.isfinite(self.spread):
            return None
        numbers = range(2, _MOST_REPEATS + 1)
        # The power rises with the number, so that few of them need to be looked at.
        place = bisect_left(numbers, _POWER, key=lambda number: _power(number, smallest / self.spread, level))
        return numbers[place] if place < len(numbers) else None


def _power(n: int, effect: float, level: float) -> float:
    """Return the power of a paired, two-sided t-test, for a mean so large in standard deviations."""
    critical, shift = stats.t.ppf(1 - level / 2, n - 1), effect * math.sqrt(n)
    found: float = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
    return found


def from_seeds(differences: Values) -> Evidence:
    """Judge by seeds: a paired t-test on the differences of each.

    One seed has a difference, and no error that anything is known of; nor have seeds that all have the same.

    Args:
        differences: One for each seed, [n].
    """
    values = np.asarray(differences, dtype=np.float64)
    return _of_t(values, 1 / len(values), "seeds")


def from_folds(differences: Values, n_train: float, n_test: float) -> Evidence:
    """Judge by folds or repeated splits, whose training rows overlap: the corrected resampled t-test.

    The variance of the mean is that of the differences times 1 / k + n_test / n_train.

    Source: Nadeau and Bengio, Machine Learning 52 (2003).

    Args:
        differences: One for each fold, [k]: of several seeds that have the same folds the mean, as they are no
            further draws of the rows.
        n_train: Training rows of a fold.
        n_test: Its rows that are scored.
    """
    values = np.asarray(differences, dtype=np.float64)
    return _of_t(values, 1 / len(values) + n_test / n_train, "folds")


def _of_t(values: Differences, share: float, by: str) -> Evidence:
    """Test whether the mean is 0, whose variance is the spread's times ``share``, with n - 1 degrees of freedom."""
    n, mean = len(values), float(values.mean())
    if n < 2 or math.isnan(mean):
        return unknown(mean, n, by)
    spread = float(values.std(ddof=1))
    if spread <= _ROUNDING * max(1.0, float(np.abs(values).max())):
        # The formula has an interval of no width here, and p 0 or 1. Scores of few rows move in steps, and their
        # differences are the same by chance, also 0.
        return unknown(mean, n, by)
    error = spread * math.sqrt(share)
    half, half90 = (float(stats.t.ppf(level, n - 1)) * error for level in (0.975, 0.95))
    p = float(2 * stats.t.sf(abs(mean) / error, n - 1))
    return Evidence(mean, mean - half, mean + half, mean - half90, mean + half90, p, n, spread, by)


def unknown(difference: float, n: int, by: str) -> Evidence:
    """Make the evidence of a difference of whose error nothing is known.

    Args:
        difference: The difference; NaN where not even that is known.
        n: What it is the mean of.
        by: What was repeated.
    """
    return Evidence(difference, math.nan, math.nan, math.nan, math.nan, math.nan, n, math.nan, by)


def from_resamples(plain: float, found: Differences, rows: int) -> Evidence:
    """Judge by the rows scored, drawn with replacement: a paired percentile bootstrap.

    It says what other rows would say of these two models, and nothing of other seeds. Where every draw has the same
    difference, no row tells the two apart, and the draws not how far others might.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), sections 13.3 and 15.

    Args:
        plain: The difference on the rows as they are.
        found: The differences on each draw, [R]; NaN where one is undefined, as a score may be without a class.
        rows: Number of rows.
    """
    resamples = len(found)
    found = found[np.isfinite(found)]
    if math.isnan(plain) or len(found) < resamples / 2 or np.ptp(found) <= _ROUNDING:
        return unknown(plain, rows, "rows")
    low, high, low90, high90 = np.quantile(found, [0.025, 0.975, 0.05, 0.95]).tolist()
    # With one draw more on either side, as if what was seen were one of them, no p-value is 0.
    tails = (1 + np.array([(found <= 0).sum(), (found >= 0).sum()])) / (len(found) + 1)
    return Evidence(plain, low, high, low90, high90, min(1.0, 2 * float(tails.min())), rows, math.nan, "rows")
