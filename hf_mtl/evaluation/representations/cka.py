"""Centred kernel alignment of two sets of features of the same rows, with linear kernels."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hf_mtl.evaluation.representations.constant import centred

Floats = NDArray[np.float64]
_FEWEST = 4
"""Rows without which the unbiased estimate is not defined."""


def linear_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Compute the linear CKA of features of the same rows.

    Source: Kornblith et al., ICML 2019, arXiv:1905.00414.

    With few rows beside their width, features that have nothing in common come near 1: see `debiased_cka`.

    Args:
        x: Features [n, H].
        y: Features of the same rows in the same order, [n, G].

    Returns:
        A number in [0, 1], the same for rotated, shifted and scaled features; NaN where one set is constant.

    Raises:
        ValueError: If the rows are not as many.
    """
    x, y = _paired(x, y)
    return _ratio(_biased(x, y), _biased(x, x), _biased(y, y))


def debiased_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Compute the linear CKA from unbiased estimates of HSIC; its mean is 0 for features that are independent.

    Source: Nguyen et al., ICLR 2021, arXiv:2010.15327, with the estimate of Song et al., JMLR 2012.

    Args:
        x: Features [n, H], of 4 rows or more.
        y: Features of the same rows, [n, G].

    Returns:
        A number up to 1, which may be a little below 0; NaN where a set says nothing, or there are too few rows.

    Raises:
        ValueError: If the rows are not as many.
    """
    x, y = _paired(x, y)
    return _ratio(_unbiased(x, y), _unbiased(x, x), _unbiased(y, y))


def cka_matrices(xs: Sequence[np.ndarray], ys: Sequence[np.ndarray]) -> tuple[Floats, Floats]:
    """Compute `linear_cka` and `debiased_cka` of each set of features with each other set.

    Args:
        xs: Features of the same rows, such as those of one encoder's L layers: [n, H] each.
        ys: Features of these rows too, M sets.

    Returns:
        Both matrices, [L, M].

    Raises:
        ValueError: If the rows are not as many everywhere.
    """
    if len({len(item) for item in (*xs, *ys)}) > 1:
        raise ValueError(f"features of the same rows expected, found {sorted({len(item) for item in (*xs, *ys)})}")
    first = [centred(item) for item in xs]
    second = first if xs is ys else [centred(item) for item in ys]
    own = [[_both(item, item) for item in items] for items in (first, second)]
    linear, debiased = np.empty((2, len(first), len(second)))
    for row, x in enumerate(first):
        for column, y in enumerate(second):
            found = _both(x, y)
            linear[row, column], debiased[row, column] = (
                _ratio(found[form], own[0][row][form], own[1][column][form]) for form in (0, 1)
            )
    return linear, debiased


def minibatch_cka(x: np.ndarray, y: np.ndarray, batch: int) -> float:
    """Compute the CKA from the unbiased HSIC of consecutive batches, averaged in numerator and denominator apart.

    Source: Nguyen et al., ICLR 2021, arXiv:2010.15327. Rows after the last whole batch are left out.

    Args:
        x: Features [n, H].
        y: Features of the same rows, [n, G].
        batch: Rows of a batch, 4 or more.

    Raises:
        ValueError: If the rows are not as many, or do not make one batch.
    """
    if batch < _FEWEST or len(x) < batch:
        raise ValueError(f"batches of {_FEWEST} rows or more expected, found {batch} of {len(x)} rows")
    x, y = _paired(x, y)
    pieces = [slice(start, start + batch) for start in range(0, len(x) - batch + 1, batch)]
    sums = [
        sum(_unbiased(first[piece], second[piece]) for piece in pieces) for first, second in ((x, y), (x, x), (y, y))
    ]
    return _ratio(*sums)


def _paired(x: np.ndarray, y: np.ndarray) -> tuple[Floats, Floats]:
    """Return both sets in float64, centred, [n, H] and [n, G]."""
    if len(x) != len(y):
        raise ValueError(f"features of the same rows expected, found {len(x)} and {len(y)} rows")
    return centred(x), centred(y)


def _biased(x: Floats, y: Floats) -> float:
    return float(np.square(x.T @ y).sum())


def _unbiased(x: Floats, y: Floats) -> float:
    return _both(x, y)[1]


def _both(x: Floats, y: Floats) -> tuple[float, float]:
    """Compute HSIC (times a factor of n) and its unbiased estimate, from the features alone.

    Without the kernels K = x x^T and L = y y^T, which are [n, n]. With fewer than 4 rows the estimate is NaN.
    """
    n, biased = len(x), _biased(x, y)
    if n < _FEWEST:
        return biased, math.nan
    # The estimate reads the kernels without their diagonals.
    x_own, y_own = np.square(x).sum(axis=1), np.square(y).sum(axis=1)
    x_rows, y_rows = x @ x.sum(axis=0) - x_own, y @ y.sum(axis=0) - y_own
    means = x_rows.sum() * y_rows.sum() / ((n - 1) * (n - 2))
    estimate = (biased - x_own @ y_own + means - 2 * (x_rows @ y_rows) / (n - 2)) / (n * (n - 3))
    return biased, float(estimate)


def _ratio(both: float, first: float, second: float) -> float:
    if not (first > 0 and second > 0):
        return math.nan
    return both / math.sqrt(first) / math.sqrt(second)
