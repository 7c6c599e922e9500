"""Why an arm may have harmed a task, by what the runs measured."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from hf_mtl.data.columns import name_count
from hf_mtl.experiments.answer.trials import Trial, Unit, is_merged

FEWER_PASSES = 0.8
"""Of the reference's passes over a task: below that share they are a likely cause."""
OPPOSED = 0.05
"""A mean cosine as far below 0 counts as conflict.

Nearer to 0 it is what the noise of a few small batches leaves, and a gradient loses less than a twentieth of its
length to one that is opposed no more than that.
"""
AGGREGATORS = ("pcgrad", "upgrad")
"""What is advised against conflict: the first, or where an arm has that already the second."""
FEW_SAMPLES = 5
"""Fewer measurements of gradients, of all runs together, say nothing of a run."""
FEW_ROWS = 1000
FEWER_ROWS = 0.5
"""Of the largest task's rows: where all tasks have few, that is no cause of its own."""
SMALL_WEIGHT = 0.2
"""Of the mean weight of the tasks."""
_RISING = 0.005
_HIGHER = 1.1

Units = Mapping[Unit, Trial]


class _Side(NamedTuple):
    """The name of an arm, and the trials that are looked at."""

    name: str
    trials: Sequence[Trial]


@dataclass(frozen=True)
class Cause:
    """What may have harmed a task.

    Args:
        kind: ``passes``, ``weight``, ``conflict``, ``rows``, ``contamination``, ``underfitting`` or ``merging``;
            ``none``: none of them fits.
        text: A sentence with the numbers.
    """

    kind: str
    text: str


def causes_of(
    task: str, ours: tuple[str, Units], theirs: tuple[str, Units], aggregator: str | None = None
) -> list[Cause]:
    """Find what fits, by means over the seeds that both have. What was merged has one cause, as it was not trained.

    Args:
        task: The task.
        ours: The name of the arm, and its trials.
        theirs: Those of the reference.
        aggregator: The gradient aggregator of the arm; None: it has none, or it is not known.
    """
    if is_merged(ours[1]):
        return [_merging()]
    common = [unit for unit in ours[1] if unit in theirs[1]]
    mine, other = (_Side(name, [trials[unit] for unit in common]) for name, trials in (ours, theirs))
    makers: tuple[Callable[[str, _Side, _Side], Cause | None], ...] = (
        _passes,
        _small_weight,
        partial(_conflict, aggregator=aggregator),
        _underfitting,
        _few_rows,
        _contamination,
    )
    found = [cause for make in makers if (cause := make(task, mine, other)) is not None]
    if any(cause.kind in ("passes", "weight") for cause in found):
        # A task that was seen less, or counts less, ends less trained: no longer run or larger encoder mends that.
        found = [cause for cause in found if cause.kind != "underfitting"]
    return found or [Cause("none", f"No likely cause found in what was measured{_unmeasured(task, mine.trials)}.")]


def _passes(task: str, ours: _Side, theirs: _Side) -> Cause | None:
    mine, other = (_mean(trial.value("passes", task) for trial in side.trials) for side in (ours, theirs))
    if not mine < FEWER_PASSES * other:  # also of what is not known
        return None
    numbers = f"{mine:.2g} times in {ours.name} and {other:.2g} times in {theirs.name} ({mine / other:.0%})"
    remedy = "give it a larger share of the mixture, or a larger budget"
    return Cause("passes", f"Unequal passes: {task} was seen {numbers}; {remedy}.")


def _merging() -> Cause:
    why = "which fails where they began with other weights, or went far from common ones"
    text = "Merging: nothing was trained together; the weights are made of those of encoders that were trained apart"
    return Cause("merging", f"{text}, {why}.")


def _small_weight(task: str, ours: _Side, theirs: _Side) -> Cause | None:
    mine, other = (_mean(_weight(trial.of(task) or {}, task) for trial in side.trials) for side in (ours, theirs))
    if not mine < SMALL_WEIGHT or mine >= other:  # what the reference has too is no cause
        return None
    said = f"the loss of {task} has {mine:.2g} of the mean weight of the tasks in {ours.name}"
    return Cause("weight", f"Small weight: {said}; fix a larger one, or try ew.")


def _weight(record: Mapping[str, Any], task: str) -> float:
    """Return the weight of a task's loss beside the mean of all tasks' of the run; NaN: not known."""
    weights = record.get("weights") or {}
    mean = _mean(weights.values())
    return float(weights[task]) / mean if weights.get(task) is not None and mean > 0 else math.nan


def _conflict(task: str, ours: _Side, theirs: _Side, aggregator: str | None = None) -> Cause | None:
    """Look at the task's own cosines; of the pairs of other tasks it is none of its causes."""
    known = _cosines(task, theirs.trials)
    cosines = {
        other: value
        for other, value in _cosines(task, ours.trials).items()
        if value <= -OPPOSED and not value > known.get(other, math.nan) - OPPOSED  # in the reference too: no cause
    }
    # Older records do not tell how often gradients were measured.
    counts = [(trial.of(task) or {}).get("cosine_samples") for trial in ours.trials]
    samples = None if None in counts else sum(count or 0 for count in counts)
    if not cosines or (samples is not None and samples < FEW_SAMPLES):
        return None
    worst_first = sorted(cosines.items(), key=lambda item: item[1])
    said = [f"mean cosine {value:+.2f} with {other}" for other, value in worst_first]
    often = "" if samples is None else f" ({samples} measurements in {name_count(len(counts), 'run')})"
    remedy = f"try {_other_aggregator(aggregator)}, or train {task} apart"
    return Cause("conflict", f"Conflict of gradients: {', '.join(said)}{often}; {remedy}.")


def _other_aggregator(used: str | None) -> str:
    """Name an aggregator to try in place of the one that an arm has, if any."""
    advised = next(name for name in AGGREGATORS if name != used)
    if used is None:
        return f"a gradient aggregator such as {advised}"
    return f"another gradient aggregator than {used}, such as {advised}"


def _cosines(task: str, trials: Sequence[Trial]) -> dict[str, float]:
    """Return the mean cosine of a task's gradient with that of each other task."""
    found: dict[str, list[float]] = {}
    for trial in trials:
        for pair, value in ((trial.of(task) or {}).get("cosines") or {}).items():
            for other in _other_of(pair, task):
                if value is not None:
                    found.setdefault(other, []).append(float(value))
    return {other: float(np.mean(values)) for other, values in found.items()}


def _other_of(pair: str, task: str) -> list[str]:
    """Return the other task of a pair ``a/b``; names may hold slashes too."""
    if pair.startswith(f"{task}/"):
        return [pair.removeprefix(f"{task}/")]
    return [pair.removesuffix(f"/{task}")] if pair.endswith(f"/{task}") else []


def _underfitting(task: str, ours: _Side, theirs: _Side) -> Cause | None:
    gain, usual = (_mean(last_gain(trial, task) for trial in side.trials) for side in (ours, theirs))
    mine, other = (_mean(trial.value("train_losses", task) for trial in side.trials) for side in (ours, theirs))
    said = []
    if gain > _RISING and not gain <= usual:  # what the reference's does too is no cause
        said.append(f"its validation score still rose by {100 * gain:.1f} points in the last quarter of the run")
    if mine > _HIGHER * other:
        said.append(f"its training loss ended at {mine:.3g} in {ours.name} and {other:.3g} in {theirs.name}")
    if not said:
        return None
    return Cause("underfitting", f"Underfitting: {' and '.join(said)}; train longer, or with a larger encoder.")


def last_gain(trial: Trial, task: str) -> float:
    """Return by how much a task's validation score rose over the last quarter of a run; NaN: not known.

    Args:
        trial: The run.
        task: The task.
    """
    curve = (trial.of(task) or {}).get("curve") or []
    points = [(point["step"], (point.get("scores") or {}).get(task)) for point in curve]
    known = [(step, float(score)) for step, score in points if score is not None]
    if len(known) < 3:
        return math.nan
    start = 0.75 * known[-1][0]
    before = max((point for point in known[:-1] if point[0] <= start), default=known[-2])
    return known[-1][1] - before[1]


def _few_rows(task: str, ours: _Side, theirs: _Side) -> Cause | None:
    records = [trial.of(task) or {} for trial in ours.trials]
    rows = [{name: said.get("train") for name, said in (record.get("rows") or {}).items()} for record in records]
    means = {name: _mean(each.get(name) for each in rows) for each in rows for name in each}
    count, most = means.get(task, math.nan), max((mean for mean in means.values() if mean > 0), default=math.nan)
    if not count < FEW_ROWS or not count <= FEWER_ROWS * most:
        return None
    numbers = f"{task} has {count:,.0f} training rows (the largest task {most:,.0f})"
    return Cause("rows", f"Few rows: {numbers}: its results vary, and others can drown it.")


def _contamination(task: str, ours: _Side, theirs: _Side) -> Cause | None:
    tested = _mean((trial.value("rows", task) or {}).get("test") for trial in theirs.trials)
    count = _mean(trial.value("contamination", task) for trial in (*ours.trials, *theirs.trials))
    loss = _mean(trial.score(task) for trial in theirs.trials) - _mean(trial.score(task) for trial in ours.trials)
    if not count > 0 or count < loss * tested:  # so many rows can move an accuracy by their share, and no further
        return None
    share = "" if math.isnan(tested) else f" of {tested:,.0f}"
    found = f"{count:,.0f}{share} test rows of {task} stand in training rows"
    return Cause("contamination", f"Contamination: {found}, which flatters whoever remembers them best.")


def _unmeasured(task: str, trials: Sequence[Trial]) -> str:
    """Name what was not measured and could have been a cause."""
    records: list[Mapping[str, Any]] = [trial.of(task) or {} for trial in trials]
    together = any(len(record.get("rows") or {}) > 1 for record in records)
    measured = {
        "passes": any(trial.value("passes", task) is not None for trial in trials),
        "cosines of gradients": not together or any(record.get("cosines") for record in records),
        "validation while training": any(not math.isnan(last_gain(trial, task)) for trial in trials),
        "training losses": any(trial.value("train_losses", task) is not None for trial in trials),
        "contamination": any(record.get("contamination") is not None for record in records),
    }
    lacking = [name for name, there in measured.items() if not there]
    return f" (not measured: {', '.join(lacking)})" if lacking else ""


def _mean(values: Iterable[Any]) -> float:
    """Return the mean of the numbers among some values; NaN of none."""
    known = [float(value) for value in values if isinstance(value, (int, float)) and not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
