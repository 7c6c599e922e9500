"""Scores while training, put together over the runs of an arm, each at the same share of its own steps."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hf_mtl.experiments.answer.answer import Answer
from hf_mtl.experiments.answer.trials import Trial
from hf_mtl.experiments.results import Record

Line = Sequence[tuple[float, ...]]
"""Points of a line by their place, the first number of each."""


def task_curves(found: Answer, task: str) -> dict[str, tuple[list[float], list[float]]]:
    """Return, by arm, shares of its run in percent and the mean validation score of its trials there.

    Args:
        found: The answer.
        task: The task.
    """
    curves = {}
    for arm in found.costs:  # in the study's order
        points = _mean_line([_points(trial, task) for trial in found.trials[arm].values()])
        if len(points) > 1:
            curves[arm] = (points[:, 0].tolist(), points[:, 1].tolist())
    return curves


def mean_curve(found: Answer, arm: str) -> tuple[list[float], list[float]]:
    """Return operations of a seed so far, and the mean validation score of the tasks in points, as it goes on.

    Runs of single tasks are taken side by side, each at the same share of its steps, and so are the folds of a seed.

    Args:
        found: The answer.
        arm: The arm.
    """
    folds = found.question.folds or 1
    lines = []
    for trial in found.trials[arm].values():
        each = [_points(trial, task) for task in found.tasks]
        if all(each):
            means = _mean_line(each).tolist()
            spent = [folds * sum(_operations(record, share) for record in trial.records) for share, _ in means]
            lines.append([(share, cost, score) for (share, score), cost in zip(means, spent, strict=True)])
    points = _mean_line(lines)
    return points[:, 1].tolist(), points[:, 2].tolist()


def _mean_line(lines: Sequence[Line]) -> NDArray[np.float64]:
    """Return the mean of lines wherever one of them has a point, within the range that all have, [n, numbers].

    Runs are not all looked at after the same share of their steps: points of some of them alone would make the mean
    jump from one run's level to another's.
    """
    known = [line for line in lines if line]
    longer = [line for line in known if len(line) > 1] or known
    if not longer:
        return np.zeros((0, 3))
    first, last = max(line[0][0] for line in longer), min(line[-1][0] for line in longer)
    places = sorted({point[0] for line in longer for point in line if first <= point[0] <= last})
    means = np.mean([[_between(line, place) for place in places] for line in longer], axis=0)
    return np.column_stack([places, means]) if places else np.zeros((0, 3))


def _points(trial: Trial, task: str) -> list[tuple[float, ...]]:
    return [
        (share, 100 * point["scores"][task])
        for share, point in _shares(trial.of(task) or {})
        if (point.get("scores") or {}).get(task) is not None
    ]


def _shares(record: Record) -> list[tuple[float, Record]]:
    """Return the evaluations of a run with the share of its steps before each, in percent."""
    curve = record.get("curve") or []
    total = record.get("steps") or max((point.get("step") or 0 for point in curve), default=0)
    return [(round(100 * point["step"] / total, 1), point) for point in curve if total]


def _operations(record: Record, share: float) -> float:
    """Return a run's operations up to a share of its steps, in proportion to steps between two evaluations."""
    known = [(0.0, 0.0), *((at, float(point["flops"])) for at, point in _shares(record) if point.get("flops"))]
    if len(known) == 1:
        known.append((100.0, float(record.get("flops") or 0)))
    return float(_between(known, share)[0])


def _between(line: Line, place: float) -> NDArray[np.float64]:
    """Return the numbers of a line at a place, straight between two of its points."""
    places, *numbers = np.array(line, dtype=np.float64).T
    return np.array([np.interp(place, places, values) for values in numbers])
