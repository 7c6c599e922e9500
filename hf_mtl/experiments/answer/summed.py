"""Scores that are made of sums over rows, of many draws of the rows at once."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Score = Callable[[Numbers], Numbers]
"""From draws, how often each has each row [R, n], their scores [R]."""


def mean_of(values: Numbers) -> Score:
    """Make the score that is the mean of a value of each row.

    Args:
        values: The values, [n].
    """
    return lambda counts: counts @ values / counts.sum(axis=1)


def ratio(above: Numbers, below: Numbers) -> Score:
    """Make the score that is a sum over rows divided by another, 0 where that is 0.

    Args:
        above: What is added up above the line, [n].
        below: What is added up below it, [n].
    """

    def score(counts: Numbers) -> Numbers:
        return _divided(counts @ above, counts @ below)

    return score


def _divided(above: Numbers, below: Numbers, otherwise: float = 0.0) -> Numbers:
    there = below > 0
    found: Numbers = np.where(there, above / np.where(there, below, 1.0), otherwise)
    return found


def class_score(
    name: str,
    predicted: NDArray[np.int64],
    labels: NDArray[np.int64],
    classes: int,
    chosen: Sequence[int] | None,
) -> Score | None:
    """Make a score of one class for each row, or each word of it.

    Args:
        name: The metric.
        predicted: The predicted classes, [n, W]; -1 where there is no word.
        labels: The true ones.
        classes: Number of classes C.
        chosen: The classes that an f1 averages over; None: class 1.
    """
    tables = (np.where(predicted == labels, labels, -1), np.where(labels >= 0, predicted, -1), labels)
    right, guessed, there = (_counted(table, classes) for table in tables)
    sums = np.hstack([right, guessed, there])

    def split(counts: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        total = counts @ sums
        return total[:, :classes], total[:, classes : 2 * classes], total[:, 2 * classes :]

    if name in ("accuracy", "f1_micro"):
        return ratio(right.sum(axis=1), there.sum(axis=1))
    if name == "recall_macro":
        return lambda counts: _recall(*split(counts))
    if name in ("f1", "f1_macro"):
        over = list(range(classes)) if name == "f1_macro" else list(chosen or [1])
        return lambda counts: _f1(*split(counts))[:, over].mean(axis=1)
    if name == "matthews":
        return lambda counts: _matthews(*split(counts))
    if name == "quadratic_weighted_kappa":
        squares = ((predicted - labels) ** 2)[:, 0].astype(np.float64)
        return lambda counts: _kappa(counts @ squares, *split(counts)[1:])
    return None


def _counted(table: NDArray[np.int64], classes: int) -> Numbers:
    """Count how often each row has each class, [n, C]; -1 is none."""
    n = len(table)
    row, _ = there = np.nonzero(table >= 0)
    flat = np.bincount(row * classes + table[there], minlength=n * classes)
    return flat.reshape(n, classes).astype(np.float64)


def _recall(right: Numbers, guessed: Numbers, there: Numbers) -> Numbers:
    found: Numbers = _divided(right, there).mean(axis=1)
    return found


def _f1(right: Numbers, guessed: Numbers, there: Numbers) -> Numbers:
    return _divided(2 * right, guessed + there)


def _matthews(right: Numbers, guessed: Numbers, there: Numbers) -> Numbers:
    total = there.sum(axis=1)
    spread = [total**2 - (part**2).sum(axis=1) for part in (guessed, there)]
    above = right.sum(axis=1) * total - (guessed * there).sum(axis=1)
    below = np.sqrt(np.maximum(spread[0] * spread[1], 0.0))
    # Below rounding of the squares, all rows are of one class.
    return _divided(above, np.where(np.minimum(*spread) > 1e-9 * total**2, below, 0.0))


def _kappa(squares: Numbers, guessed: Numbers, there: Numbers) -> Numbers:
    ranks = np.arange(guessed.shape[1], dtype=np.float64)
    distances = (ranks[:, None] - ranks[None, :]) ** 2
    chance = ((guessed @ distances) * there).sum(axis=1) / there.sum(axis=1)
    found: Numbers = 1 - _divided(squares, chance, otherwise=math.nan)
    return found


def label_score(
    name: str, predicted: NDArray[np.bool_], true: NDArray[np.bool_], chosen: Sequence[int] | None
) -> Score | None:
    """Make a score of rows that may have several labels.

    Args:
        name: The metric.
        predicted: The predicted labels, [n, L]; none that is not known.
        true: The true ones.
        chosen: The labels that an f1 averages over.
    """
    both = predicted & true
    if name == "f1_samples":
        one = true.shape[1] == 1
        each = (predicted == true)[:, 0] if one else _f1_of_rows(both, predicted, true)
        return mean_of(each.astype(np.float64))
    if name == "f1_micro":
        return ratio(2.0 * both.sum(axis=1), (predicted.sum(axis=1) + true.sum(axis=1)).astype(np.float64))
    if name in ("f1", "f1_macro"):
        over = list(range(true.shape[1])) if name == "f1_macro" else list(chosen or [])
        right, all_of_them = both[:, over].astype(np.float64), predicted[:, over].astype(np.float64) + true[:, over]
        return lambda counts: _divided(2 * (counts @ right), counts @ all_of_them).mean(axis=1)
    return None


def _f1_of_rows(both: NDArray[np.bool_], predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> Numbers:
    below = (predicted.sum(axis=1) + true.sum(axis=1)).astype(np.float64)
    return _divided(2.0 * both.sum(axis=1), below, otherwise=1.0)


def value_score(name: str, predicted: Numbers, truth: Numbers, std: Sequence[float] | None) -> Score | None:
    """Make a score of real values, the mean over targets; a row without a target is NaN there and left out of it.

    Args:
        name: The metric.
        predicted: The predictions, [n, D].
        truth: The targets.
        std: The training targets' standard deviations, [D].
    """
    makers = {"pearson": _pearson, "r2": _r2, "mse": _mse, "rmse": _rmse, "mae": _mae, "mse_z": _mse}
    if name not in makers:
        return None
    scores = [makers[name](*columns) for columns in zip(predicted.T, truth.T, strict=True)]
    scales = np.asarray(std, dtype=np.float64) ** 2 if name == "mse_z" and std is not None else np.ones(len(scores))

    def score(counts: Numbers) -> Numbers:
        values = np.stack([each(counts) for each in scores], axis=1) / scales
        there = np.isfinite(values)
        found = np.where(there, values, 0.0).sum(axis=1)
        return _divided(found, there.sum(axis=1).astype(np.float64), otherwise=math.nan)

    return score


def _given(truth: Numbers) -> Numbers:
    return (~np.isnan(truth)).astype(np.float64)


def _mean_where_given(values: Numbers, truth: Numbers) -> Score:
    given = _given(truth)
    filled = np.where(given > 0, values, 0.0)
    return lambda counts: _divided(counts @ filled, counts @ given, otherwise=math.nan)


def _mse(predicted: Numbers, truth: Numbers) -> Score:
    return _mean_where_given((predicted - truth) ** 2, truth)


def _rmse(predicted: Numbers, truth: Numbers) -> Score:
    squared = _mse(predicted, truth)
    return lambda counts: np.sqrt(squared(counts))


def _mae(predicted: Numbers, truth: Numbers) -> Score:
    return _mean_where_given(np.abs(predicted - truth), truth)


def _moments(predicted: Numbers, truth: Numbers) -> Callable[[Numbers], Numbers]:
    """Give means, variances and the covariance of predictions and targets of each draw, [R, 5]."""
    given = _given(truth)
    # About their means, so that no digits are lost.
    there = given > 0
    x, y = (np.where(there, values - values[there].mean(), 0.0) for values in (predicted, truth))
    sums = np.stack([given, x, y, x * x, y * y, x * y], axis=1)

    def moments(counts: Numbers) -> Numbers:
        total = counts @ sums
        n = np.where(total[:, :1] > 0, total[:, :1], np.nan)
        mean_x, mean_y, xx, yy, xy = (total[:, 1:] / n).T
        found: Numbers = np.stack([mean_x, mean_y, xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y], axis=1)
        return found

    return moments


def _pearson(predicted: Numbers, truth: Numbers) -> Score:
    moments = _moments(predicted, truth)
    scale = [max(float(np.nanmax(np.abs(values))), 1e-300) ** 2 for values in (predicted, truth)]

    def score(counts: Numbers) -> Numbers:
        _, _, xx, yy, xy = moments(counts).T
        varies = (xx > 1e-15 * scale[0]) & (yy > 1e-15 * scale[1])
        found = np.where(varies, xy / np.sqrt(np.where(varies, xx * yy, 1.0)), 0.0)
        return np.clip(np.where(np.isnan(xx), np.nan, found), -1.0, 1.0)

    return score


def _r2(predicted: Numbers, truth: Numbers) -> Score:
    moments, squared = _moments(predicted, truth), _mse(predicted, truth)

    def score(counts: Numbers) -> Numbers:
        spread, error = moments(counts)[:, 3], squared(counts)
        varies = spread > 1e-15 * max(float(np.nanmax(np.abs(truth))), 1e-300) ** 2
        return np.where(varies, 1 - error / np.where(varies, spread, 1.0), np.where(error == 0, 1.0, 0.0))

    return score
