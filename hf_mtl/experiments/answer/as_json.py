"""The answer as JSON."""

from dataclasses import asdict
from typing import Any

from hf_mtl.experiments.answer.answer import Answer, Key
from hf_mtl.experiments.answer.compared import compared
from hf_mtl.experiments.answer.headline import headline
from hf_mtl.experiments.statistics import MeanInterval


def as_json(found: Answer) -> dict[str, Any]:
    """Give an answer as what ``answer.json`` holds.

    Args:
        found: The answer.
    """
    arms = {
        arm: {
            "overall": _compared(found, (arm, None)),
            "tasks": {task: _compared(found, (arm, task)) for task in found.tasks},
        }
        for arm in found.arms
    }
    every = list(found.costs)
    return {
        "headline": headline(found),
        "question": {name: value for name, value in asdict(found.question).items() if name not in ("base", "sets")},
        "compared": compared(found),
        "tasks": found.tasks,
        "best_on_validation": found.best,
        "arms": arms,
        "scores": {arm: {task: _interval(found.score(arm, task)) for task in found.tasks} for arm in every},
        "averages": {arm: _interval(found.average(arm)) for arm in every},
        "baselines": {
            name: {task: _interval(item) for task, item in found.baseline(name).items() if task is not None}
            for name in found.baselines
        },
        "costs": {arm: asdict(cost) for arm, cost in found.costs.items()},
        "failed_runs": list(found.unfinished.failed),
        "missing_runs": list(found.unfinished.missing),
        "without_test_rows": list(found.untested),
        "reference_below_a_baseline": list(found.weak),
        "notes": found.notes,
    }


def _compared(found: Answer, key: Key) -> dict[str, Any]:
    item, verdict = found.comparisons[key], found.verdicts[key]
    wins, ties, losses = item.outcomes
    return {
        "verdict": verdict.word,
        "seeds_that_would_tell": verdict.seeds,
        "evidence": item.evidence._asdict(),
        "holm": verdict.holm,
        "delta_p": item.delta_p._asdict(),
        "hedges_g": item.hedges,
        "cliffs_delta": item.cliff,
        **{"wins": wins, "ties": ties, "losses": losses},
        "differences": dict(item.differences),
        "rows": {name: evidence._asdict() for name, evidence in item.rows.items()},
        "causes": [asdict(cause) for cause in found.causes.get(key, ())],
        "reasons": list(item.reasons),
    }


def _interval(item: MeanInterval | None) -> dict[str, Any] | None:
    return None if item is None else item._asdict()
