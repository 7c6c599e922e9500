"""Scores that are made of the order of rows, of many draws of the rows at once."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Score = Callable[[Numbers], Numbers]
"""From draws, how often each has each row [R, n], their scores [R]."""


def _groups(values: Numbers) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the order of some values, where each different one begins in it, and which one each row has."""
    order = np.argsort(values, kind="stable")
    _, starts, which = np.unique(values[order], return_index=True, return_inverse=True)
    group = np.empty(len(values), dtype=np.int64)
    group[order] = which.reshape(-1)
    return order, starts, group


def area(scores: Numbers, labels: NDArray[np.int64]) -> Score:
    """Make the macro average of the area under the ROC curve, one class against the rest.

    Args:
        scores: Probabilities, [n, C].
        labels: Class ids, [n].
    """
    classes = scores.shape[1]
    over = [index for index in range(classes) if index == 1 or classes != 2]
    return _mean([_area(scores[:, index], labels == index) for index in over])


def _area(values: Numbers, positive: NDArray[np.bool_]) -> Score:
    order, starts, _ = _groups(values)
    yes = positive[order].astype(np.float64)

    def score(counts: Numbers) -> Numbers:
        there = counts[:, order]
        for_class, others = (np.add.reduceat(there * part, starts, axis=1) for part in (yes, 1 - yes))
        below = np.cumsum(others, axis=1) - others / 2
        pairs = for_class.sum(axis=1) * others.sum(axis=1)
        found: Numbers = np.where(pairs > 0, (for_class * below).sum(axis=1) / np.where(pairs > 0, pairs, 1), np.nan)
        return found

    return score


def average_precision(scores: Numbers, true: NDArray[np.bool_], known: NDArray[np.bool_]) -> Score:
    """Make the mean over labels of the average precision, over the rows that tell of a label.

    Args:
        scores: A number for each label, which orders the rows, [n, L].
        true: Whether a row has it.
        known: Whether a row tells of it.
    """
    columns = zip(scores.T, true.T, known.T, strict=True)
    return _mean([_precision(*column) for column in columns])


def _precision(values: Numbers, true: NDArray[np.bool_], known: NDArray[np.bool_]) -> Score:
    rows = np.flatnonzero(known)
    if not len(rows):
        return lambda counts: np.full(len(counts), np.nan)
    order, starts, _ = _groups(-values[rows])
    yes = true[rows][order].astype(np.float64)

    def score(counts: Numbers) -> Numbers:
        there = counts[:, rows][:, order]
        right, seen = (np.add.reduceat(there * part, starts, axis=1) for part in (yes, np.ones_like(yes)))
        total, cumulated = right.sum(axis=1), np.cumsum(seen, axis=1)
        precision = np.cumsum(right, axis=1) / np.where(cumulated > 0, cumulated, 1)
        found: Numbers = np.where(total > 0, (right * precision).sum(axis=1) / np.where(total > 0, total, 1), np.nan)
        return found

    return score


def rank_correlation(predicted: Numbers, truth: Numbers) -> Score:
    """Make the correlation of ranks, ties sharing their mean rank, the mean over targets.

    Args:
        predicted: The predictions, [n, D].
        truth: The targets; NaN where a row has none.
    """
    return _mean([_spearman(*columns) for columns in zip(predicted.T, truth.T, strict=True)])


def _spearman(predicted: Numbers, truth: Numbers) -> Score:
    rows = np.flatnonzero(~np.isnan(truth))
    if not len(rows):
        return lambda counts: np.full(len(counts), np.nan)
    ranked = [_ranks(values[rows]) for values in (predicted, truth)]

    def score(counts: Numbers) -> Numbers:
        there = counts[:, rows]
        n = there.sum(axis=1)
        # The mean of the ranks 1 to n, whatever is tied.
        x, y = (ranks(there) - ((n + 1) / 2)[:, None] for ranks in ranked)
        xx, yy, xy = ((there * part).sum(axis=1) for part in (x * x, y * y, x * y))
        varies = (xx > 0.1) & (yy > 0.1)
        found: Numbers = np.where(varies, xy / np.sqrt(np.where(varies, xx * yy, 1.0)), 0.0)
        return np.where(n > 0, found, math.nan)

    return score


def _ranks(values: Numbers) -> Score:
    order, starts, group = _groups(values)

    def ranks(counts: Numbers) -> Numbers:
        size = np.add.reduceat(counts[:, order], starts, axis=1)
        found: Numbers = (np.cumsum(size, axis=1) - size + (size + 1) / 2)[:, group]
        return found

    return ranks


def _mean(scores: Sequence[Score]) -> Score:
    """Return the mean of some scores, those left out that are undefined."""

    def score(counts: Numbers) -> Numbers:
        values = np.stack([each(counts) for each in scores], axis=1)
        there = ~np.isnan(values)
        number = there.sum(axis=1)
        total = np.where(there, values, 0.0).sum(axis=1)
        return np.where(number > 0, total / np.where(number > 0, number, 1), math.nan)

    return score
