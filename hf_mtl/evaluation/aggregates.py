"""Aggregates: the scores of many tasks in one number, as an average, at worst, or against a baseline."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hf_mtl.evaluation.keys import headline_keys, metric_keys
from hf_mtl.evaluation.registry import greater_is_better
from hf_mtl.tasks import Task

Scores = Mapping[str, Mapping[str, float]]


def task_score(scores: Mapping[str, float], task: Task) -> float:
    """Average a task's declared metrics of which more is better; values per target are not counted again.

    A metric that is undefined on the task's rows (NaN: AUROC where all rows have one class) is left out,
    as it is for every model. If none is defined the score is NaN.
    """
    values = [scores[key] for key in headline_keys(task)]
    defined = [value for value in values if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan


def aggregate(scores: Scores, tasks: Mapping[str, Task]) -> dict[str, float]:
    """Summarise the scores of all tasks.

    A task whose score is NaN makes all three NaN: a task that has diverged must not vanish from a mean and
    so improve it. A single undefined metric is left out of its task's score (see `task_score`), but makes
    ``macro`` NaN if it is the task's primary one.

    Args:
        scores: Values by task and metric, as from `score_task`.
        tasks: The tasks by name; each has a metric of which more is better (see `check_metrics`).

    Returns:
        ``average``: mean over tasks of the task score. ``macro``: mean over tasks of the primary metric, the
        first declared of which more is better. ``worst``: smallest task score.
    """
    task_scores = [task_score(scores[name], task) for name, task in tasks.items()]
    primary = [scores[name][headline_keys(task)[0]] for name, task in tasks.items()]
    # np.min, unlike min, does not depend on where a NaN stands.
    return {
        "average": float(np.mean(task_scores)),
        "macro": float(np.mean(primary)),
        "worst": float(np.min(task_scores)),
    }


def lower_is_better(tasks: Mapping[str, Task]) -> dict[str, dict[str, bool]]:
    """Return the direction of every declared metric, as `delta_p` wants it."""
    return {
        name: {key: not greater_is_better(spec) for key, spec in metric_keys(task).items()}
        for name, task in tasks.items()
    }


LEAST_BASE = 1e-3
"""Of a smaller value a relative change says nothing."""


@dataclass(frozen=True)
class DeltaP:
    """Relative improvement over a baseline.

    Args:
        percent: Mean over tasks, in percent; NaN if undefined for any task.
        tasks: Mean over the metrics of each task, in percent.
        undefined: Tasks for which it is undefined.
    """

    percent: float
    tasks: dict[str, float]
    undefined: tuple[str, ...]


def delta_p(metrics: Scores, baseline: Scores, lower_is_better: Mapping[str, Mapping[str, bool]]) -> DeltaP:
    """Compute the mean over tasks of the mean over metrics of ±(M - M_base) / |M_base|, in percent.

    Source: Maninis et al., CVPR 2019, arXiv:1904.08918 (Δ_m). Departs from it by |M_base| in the denominator,
    which is the same for the usual positive baselines and keeps the sign right for a negative correlation.
    Undefined (NaN) for a metric with |M_base| < `LEAST_BASE`, where the ratio says nothing.

    Args:
        metrics: Values by task and metric.
        baseline: Values of the model to compare with.
        lower_is_better: The metrics to use, by task, and their direction.
    """
    changes = {
        name: float(np.mean([_change(metrics[name][key], baseline[name][key], flip) for key, flip in keys.items()]))
        for name, keys in lower_is_better.items()
    }
    undefined = tuple(name for name, change in changes.items() if math.isnan(change))
    return DeltaP(float(np.mean(list(changes.values()))), changes, undefined)


def _change(value: float, base: float, lower_is_better: bool) -> float:
    if abs(base) < LEAST_BASE:
        return math.nan
    return (-100.0 if lower_is_better else 100.0) * (value - base) / abs(base)
