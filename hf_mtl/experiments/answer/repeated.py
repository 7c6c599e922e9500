"""What was repeated, seeds or splits of the rows, and what it says of a number that each run has."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.answer.trials import Trial, Unit
from hf_mtl.experiments.evidence import Evidence, from_folds, from_seeds, unknown
from hf_mtl.experiments.statistics import MeanInterval, mean_interval

_ROUNDING = 1e-12


def independent(values: Mapping[Unit, float], question: Question) -> list[float]:
    """Return one value for each seed, or of a study with folds for each split.

    All seeds have the same splits, so that runs of one split are no further draws of the rows: what is repeated is
    the split, and its value the mean over its seeds.

    Args:
        values: The value of each run.
        question: What the study asks.
    """
    if not question.folds:
        return list(values.values())
    splits: dict[int, list[float]] = {}
    for unit, value in values.items():
        splits.setdefault(unit.fold, []).append(value)
    return [float(np.mean(found)) for found in splits.values()]


def repeated_by(question: Question) -> str:
    """Name what is repeated, as `Evidence` does.

    Args:
        question: What the study asks.
    """
    return "folds" if question.folds else "seeds"


def judge(
    values: Mapping[Unit, float], trials: Mapping[Unit, Trial], tasks: Sequence[str], question: Question
) -> Evidence:
    """Judge a value of each run by seeds, or by splits, whose training rows overlap.

    Args:
        values: The value of each run.
        trials: The runs.
        tasks: The tasks that the values are of.
        question: What the study asks.
    """
    by = repeated_by(question)
    if not values:
        return unknown(math.nan, 0, by)
    repeated = independent(values, question)
    if not question.folds:
        return from_seeds(repeated)
    shares = [_test_share([trials[unit] for unit in values], task) for task in tasks]
    if any(map(math.isnan, shares)):
        return unknown(float(np.mean(repeated)), len(repeated), by)
    # The splits of a mean over tasks share some mean of what those of each task share: at most the largest.
    return from_folds(repeated, 1, max(shares))


def interval_of(
    values: Mapping[Unit, float], trials: Mapping[Unit, Trial], tasks: Sequence[str], question: Question
) -> MeanInterval | None:
    """Return the mean of a value that each run has, with its plain 95% interval; None: there is no run.

    Args:
        values: The value of each run.
        trials: The runs.
        tasks: The tasks that the values are of.
        question: What the study asks.
    """
    if not values:
        return None
    repeated = independent(values, question)
    # Of scores that are all the same the interval has no width: a mean needs no test of its own.
    if not question.folds or (len(repeated) > 1 and np.ptp(repeated) <= _ROUNDING * np.abs(repeated).max()):
        return mean_interval(repeated)
    found = judge(values, trials, tasks, question)
    return MeanInterval(found.difference, found.low, found.high, found.n)


def _test_share(trials: Sequence[Trial], task: str) -> float:
    """Return a task's test rows for each of its training rows; NaN: a run does not say."""
    rows = [trial.value("rows", task) or {} for trial in trials]
    train, test = (float(np.mean([row.get(part) or math.nan for row in rows])) for part in ("train", "test"))
    return test / train
