"""One arm against the reference on one task: the difference with its error, effect sizes, wins and losses."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hf_mtl.data.columns import name_count
from hf_mtl.evaluation.aggregates import LEAST_BASE, delta_p
from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.answer.repeated import independent, judge
from hf_mtl.experiments.answer.trials import Trial, Unit
from hf_mtl.experiments.evidence import Evidence, unknown
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.statistics import cliffs_delta, hedges_g

Units = Mapping[Unit, Trial]


@dataclass(frozen=True)
class Comparison:
    """An arm against the reference.

    Args:
        arm: The arm.
        task: The task; None: the mean over all.
        evidence: By which it is judged: seeds, folds, or of one seed the rows.
        delta_p: Relative change of the metrics in percent, by seeds or folds.
        hedges: Hedges' g of the scores; NaN of fewer than two of each.
        cliff: Cliff's delta of the scores.
        differences: The difference of each seed or fold, in points, by its name.
        outcomes: Wins, ties and losses over seeds or folds, and overall over these and tasks.
        rows: Evidence by the test rows of each seed, by its name.
        reasons: Why something of it is not known, a sentence each.
        same: Whether both sides are runs of the very same recipes, so that there is nothing to compare.
    """

    arm: str
    task: str | None
    evidence: Evidence
    delta_p: Evidence
    hedges: float
    cliff: float
    differences: Mapping[str, float]
    outcomes: tuple[int, int, int]
    rows: Mapping[str, Evidence] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    same: bool = False


def compare_task(
    arm: str, task: str, ours: Units, theirs: Units, question: Question, rows: Mapping[str, Evidence]
) -> Comparison:
    """Compare an arm with the reference on one task, over the seeds and folds that both have.

    Args:
        arm: The arm.
        task: The task.
        ours: Its trials.
        theirs: Those of the reference.
        question: What the study asks.
        rows: Evidence by the test rows, by seed or fold.
    """
    pairs, reasons = _pairs(arm, task, ours, theirs, question)
    mine, other = (100 * np.array([pair[side] for pair in pairs.values()]) for side in (0, 1))
    values = dict(zip(pairs, (mine - other).tolist(), strict=True))
    differences = {unit.name: value for unit, value in values.items()}
    if pairs and all(_is_same(ours[unit].of(task), theirs[unit].of(task)) for unit in pairs):
        return _same(arm, task, mine - other, differences, reasons)
    evidence = judge(values, ours, [task], question)
    if len(repeated := independent(values, question)) > 1 and math.isnan(evidence.p) and np.ptp(repeated) < 1e-9:
        why = "the same difference each time, as scores of few rows have, from which no error can be told"
        reasons.append(f"{arm} on {task}: {why}.")
    relative = {unit: _relative(ours[unit], theirs[unit], [task])[0] for unit in pairs}
    evidence = _of_one(evidence, differences, rows)
    if evidence.by == "rows" and math.isnan(evidence.p):
        reasons.append(f"{arm} on {task}: every draw of the test rows has the same difference; no error can be told.")
    return Comparison(
        arm,
        task,
        evidence,
        judge(relative, ours, [task], question),
        *_effects(mine, other),
        differences,
        outcomes(list(differences.values()), question.smallest),
        rows,
        tuple(reasons),
    )


def compare_all(
    arm: str, each: Sequence[Comparison], ours: Units, theirs: Units, question: Question, rows: Mapping[str, Evidence]
) -> Comparison:
    """Compare an arm with the reference over all tasks, over the seeds and folds in which both have all of them.

    Args:
        arm: The arm.
        each: The comparisons of its tasks.
        ours: Its trials.
        theirs: Those of the reference.
        question: What the study asks.
        rows: Evidence by the test rows of all tasks, by seed or fold.
    """
    tasks = [str(item.task) for item in each]
    both = [unit for unit in theirs if unit in ours and each]
    common = [unit for unit in both if all(unit.name in item.differences for item in each)]
    mine, other = (
        100 * np.array([np.mean([trials[unit].score(task) for task in tasks]) for unit in common])
        for trials in (ours, theirs)
    )
    reasons = [] if len(common) == question.units else _not_whole(arm, len(common), question, each)
    if each and all(item.same for item in each):
        return _same(arm, None, mine - other, each[0].differences, reasons)
    found = {unit: _relative(ours[unit], theirs[unit], tasks) for unit in common}
    undefined = {(unit, task): None for unit, (_, names) in found.items() for task in names}
    why = dict.fromkeys(_why_undefined(arm, task, ours[unit], theirs[unit], question) for unit, task in undefined)
    reasons += [f"delta-p over all tasks is undefined: {reason}." for reason in why]
    values = dict(zip(common, (mine - other).tolist(), strict=True))
    evidence = judge(values, ours, tasks, question)
    differences = {unit.name: value for unit, value in values.items()}
    evidence = _of_one(evidence, differences, rows)
    every = [value for item in each if not item.same for value in item.differences.values()]
    return Comparison(
        arm,
        None,
        evidence,
        judge({unit: value for unit, (value, _) in found.items()}, ours, tasks, question),
        *_effects(mine, other),
        differences,
        outcomes(every, question.smallest),
        rows,
        tuple(reasons),
    )


def outcomes(differences: Sequence[float], smallest: float) -> tuple[int, int, int]:
    """Count wins, ties and losses; a tie is a difference below the smallest of interest. NaN is none of them.

    Args:
        differences: The differences, in points.
        smallest: The smallest difference of interest.
    """
    wins = sum(value >= smallest for value in differences)
    losses = sum(value <= -smallest for value in differences)
    return wins, sum(abs(value) < smallest for value in differences), losses


def _is_same(ours: Record | None, theirs: Record | None) -> bool:
    """Tell whether two runs are of one recipe, seed and budget: then they differ by chance alone, if at all."""
    mine, other = ((record or {}).get("identity") for record in (ours, theirs))
    return mine is not None and mine == other


def _same(
    arm: str, task: str | None, found: np.ndarray, differences: Mapping[str, float], reasons: Sequence[str]
) -> Comparison:
    """Compare nothing: without p-values it is in no family, and counts as no tie."""
    mean = float(np.mean(found)) if len(found) else math.nan
    nothing = unknown(mean, len(found), "seeds")
    return Comparison(
        arm, task, nothing, nothing, math.nan, math.nan, differences, (0, 0, 0), reasons=tuple(reasons), same=True
    )


def _pairs(
    arm: str, task: str, ours: Units, theirs: Units, question: Question
) -> tuple[dict[Unit, tuple[float, float]], list[str]]:
    """Return the scores of both where both have one, NaN of a run that has diverged, and what is missing."""
    pairs: dict[Unit, tuple[float, float]] = {}
    missing: dict[str, int] = {}
    diverged: dict[str, list[str]] = {}
    otherwise: dict[str, int] = {}
    for unit in sorted({*ours, *theirs}):
        sides = {arm: ours.get(unit), question.reference: theirs.get(unit)}
        scores = [None if trial is None else trial.score(task) for trial in sides.values()]
        for name, score in zip(sides, scores, strict=True):
            if score is None:
                missing[name] = missing.get(name, 0) + 1
            elif math.isnan(score):
                diverged.setdefault(name, []).append(unit.name)
        if scores[0] is None or scores[1] is None:
            continue
        if (why := _otherwise(task, ours[unit], theirs[unit])) is not None:
            otherwise[why] = otherwise.get(why, 0) + 1
        else:
            pairs[unit] = (scores[0], scores[1])
    reasons = [
        f"{name} has no score of {task} in {', '.join(units)} (the run diverged, or its metrics are undefined): "
        f"{arm} cannot be judged on it."
        for name, units in diverged.items()
    ]
    if len(pairs) < question.units:
        lacking = [f"{name} lacks {count}" for name, count in missing.items()]
        lacking += [f"{count} {why}" for why, count in otherwise.items()]
        why = f" ({'; '.join(lacking)})" if lacking else ""
        reasons.append(f"{arm} on {task}: {len(pairs)} of {name_count(question.units, 'run')} to compare{why}.")
    return pairs, reasons


def _otherwise(task: str, ours: Trial, theirs: Trial) -> str | None:
    """Say how two runs were scored in other ways, so that their scores are no pair; None: not, as far as is known."""
    rows = [trial.value("test_rows", task) for trial in (ours, theirs)]
    if None not in rows and rows[0] != rows[1]:
        return "scored on other test rows"
    metrics = [trial.value("lower_is_better", task) for trial in (ours, theirs)]
    if None not in metrics and metrics[0] != metrics[1]:
        return "scored by other metrics"
    return None


def _not_whole(arm: str, count: int, question: Question, each: Sequence[Comparison]) -> list[str]:
    lacking = [str(item.task) for item in each if len(item.differences) < question.units]
    of = f"; not all have {', '.join(lacking)}" if lacking else ""
    return [f"{arm} over all tasks: {count} of {name_count(question.units, 'run')} to compare{of}."]


def _of_one(evidence: Evidence, differences: Mapping[str, float], rows: Mapping[str, Evidence]) -> Evidence:
    """Return the evidence by rows where one seed or fold with scores is all there is, and rows were compared."""
    alone = len(differences) == 1 and not math.isnan(evidence.difference)
    return rows.get(next(iter(differences)), evidence) if alone else evidence


def _relative(ours: Trial, theirs: Trial, tasks: Sequence[str]) -> tuple[float, tuple[str, ...]]:
    """Return delta-p of a trial in percent, and the tasks for which it is undefined."""
    lower: dict[str, dict[str, bool]] = {}
    for task in tasks:
        said: dict[str, Any] = ours.value("lower_is_better", task) or theirs.value("lower_is_better", task) or {}
        both = ours.metrics(task).keys() & theirs.metrics(task).keys()
        lower[task] = {key: bool(said[key]) for key in said if key in both}
    if not all(lower.values()):
        return math.nan, tuple(task for task, keys in lower.items() if not keys)
    mine, other = ({task: trial.metrics(task) for task in tasks} for trial in (ours, theirs))
    found = delta_p(mine, other, lower)
    return found.percent, found.undefined


def _why_undefined(arm: str, task: str, ours: Trial, theirs: Trial, question: Question) -> str:
    """Say why a relative change is undefined, in the same words for all arms where the reference is why."""
    said: Mapping[str, bool] = ours.value("lower_is_better", task) or theirs.value("lower_is_better", task) or {}
    for name, trial in ((question.reference, theirs), (arm, ours)):
        values = trial.metrics(task)
        if not said.keys() & values.keys():
            return f"the records of {name} have no metric of {task}, or do not say whether more of it is better"
        for key in said.keys() & values.keys():
            if math.isnan(values[key]):
                return f"{key} of {task} is undefined in a run of {name}"
            if trial is theirs and abs(values[key]) < LEAST_BASE:
                return f"{key} of {task} is 0 in a run of {name}, of which nothing is a share"
    return f"{arm} and {question.reference} have no metric of {task} in common"


def _effects(mine: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    if len(mine) < 2:
        return math.nan, math.nan
    return hedges_g(mine, other), cliffs_delta(mine, other)
