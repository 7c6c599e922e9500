"""The projected linear model of a group of tasks: ridge and logistic regression together, and its losses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_mtl.experiments.affinity.links import Link, Numbers

_MOST_STEPS, _HALVINGS = 50, 20
_ENOUGH = 1e-7
_FLAT = 1e-8


@dataclass(frozen=True)
class LinearRows:
    """Rows of one task, as the linear model sees them.

    Args:
        numbers: What the link makes of each row's loss at the checkpoint, [n].
        slopes: Their projected gradients, [n, D].
        weights: Of the rows in the task's loss, summing to 1, [n].
        link: Ties numbers to losses.
    """

    numbers: Numbers
    slopes: Numbers
    weights: Numbers
    link: Link

    def __len__(self) -> int:
        return len(self.numbers)

    def losses(self, shift: Numbers) -> Numbers:
        """Return the loss of each row once the parameters have moved, [n].

        Args:
            shift: How, in the projection, [D].
        """
        return self.link.loss(self.numbers + self.slopes @ shift)

    def loss(self, shift: Numbers) -> float:
        """Return the task's loss."""
        return float(self.weights @ self.losses(shift))

    def some(self, rows: np.ndarray) -> "LinearRows":
        """Keep some rows, whose weights sum to 1 again."""
        weights = self.weights[rows]
        return LinearRows(self.numbers[rows], self.slopes[rows], weights / weights.sum(), self.link)

    @property
    def information(self) -> float:
        """The trace of the loss' curvature at the checkpoint: how large a ridge has to be to matter."""
        return float((self.weights * self.link.curvature(self.numbers)) @ np.square(self.slopes).sum(axis=1))


def fit(group: Sequence[LinearRows], ridge: float) -> Numbers:
    """Find the shift δ [D] of the lowest Σ_t L_t(δ) + ½ λ |δ|², by ridge regressions until nothing moves.

    With real values alone the first is the answer. Otherwise each is of the losses' parabolas at the last answer,
    which is how logistic regression is fitted where rows have an offset, which scikit-learn's has not. The losses of
    tasks are summed, not averaged: a task that has nothing to do with the others changes nothing for them.

    Args:
        group: The rows of each task of the group.
        ridge: λ, above 0.
    """
    from sklearn.linear_model import Ridge

    slopes = np.concatenate([rows.slopes for rows in group])
    shift = np.zeros(slopes.shape[1])
    lowest = _objective(group, shift, ridge)
    for _ in range(_MOST_STEPS):
        numbers = [rows.numbers + rows.slopes @ shift for rows in group]
        pairs = list(zip(group, numbers, strict=True))
        slope = np.concatenate([rows.link.slope(at) for rows, at in pairs])
        # A row that is all but certain has no curvature: its parabola would have its bottom anywhere.
        bend = np.maximum(np.concatenate([rows.link.curvature(at) for rows, at in pairs]), _FLAT)
        weights = np.concatenate([rows.weights for rows in group]) * bend
        model = Ridge(alpha=ridge, fit_intercept=False, solver="cholesky")
        step = model.fit(slopes, slopes @ shift - slope / bend, sample_weight=weights).coef_ - shift
        moved = _shorter(group, shift, step, ridge, lowest)
        if moved is None:
            break
        shift, before, lowest = shift + moved * step, lowest, _objective(group, shift + moved * step, ridge)
        if before - lowest <= _ENOUGH * max(before, _ENOUGH):
            break
    return shift


def _objective(group: Sequence[LinearRows], shift: Numbers, ridge: float) -> float:
    return sum(rows.loss(shift) for rows in group) + 0.5 * ridge * float(shift @ shift)


def _shorter(group: Sequence[LinearRows], shift: Numbers, step: Numbers, ridge: float, lowest: float) -> float | None:
    """Find how much of a step goes down: all, a half, a quarter; None: no part of it does."""
    for halvings in range(_HALVINGS):
        part = 0.5**halvings
        if _objective(group, shift + part * step, ridge) < lowest:
            return part
    return None


RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""Ridges that are tried, in those of `ridge_unit`."""
_FOLDS = 4


def ridge_unit(tasks: Sequence[LinearRows]) -> float:
    """Return the mean curvature of the tasks' losses: a ridge far below changes nothing, far above all."""
    return float(np.mean([rows.information for rows in tasks])) or 1.0


def choose_ridge(tasks: Sequence[LinearRows], seed: int) -> float:
    """Choose one ridge for all groups, by cross-validation of each task alone on the rows that are fitted.

    Args:
        tasks: The rows to fit of every task; of each as many as folds, or it has no say.
        seed: Seed of the folds.

    Returns:
        The λ of the lowest mean over tasks of the left-out loss, as a part of what it is at the checkpoint.
    """
    from sklearn.model_selection import KFold

    unit = ridge_unit(tasks)
    folds = KFold(_FOLDS, shuffle=True, random_state=seed)
    parts = [
        (rows.some(fitted), rows.some(left))
        for rows in tasks
        if len(rows) >= _FOLDS
        for fitted, left in folds.split(rows.numbers)
    ]

    def left_out(ridge: float) -> float:
        shifts = [fit([fitted], ridge * unit) for fitted, _ in parts]
        pairs = zip(parts, shifts, strict=True)
        found = [left.loss(shift) / (left.loss(np.zeros_like(shift)) or 1.0) for (_, left), shift in pairs]
        return float(np.mean(found)) if found else 0.0

    return unit * min(RIDGES, key=left_out)
