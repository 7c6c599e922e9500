"""Baselines, which were scored in the runs of the reference, on the same test rows."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.answer.trials import Trials, Unit


def baseline_scores(trials: Trials, question: Question) -> dict[str, dict[Unit, dict[str, float]]]:
    """Return the test scores of baselines in points, by name, by seed or fold, and by task.

    Args:
        trials: The trials by arm and unit.
        question: What the study asks.
    """
    found: dict[str, dict[Unit, dict[str, float]]] = {}
    for unit, name, said in _said(trials, question):
        scores = {task: 100 * value for task, value in (said.get("test") or {}).items() if value is not None}
        found.setdefault(name, {}).setdefault(unit, {}).update(scores)
    return found


def below_a_baseline(trials: Trials, tasks: Sequence[str], question: Question) -> dict[str, str]:
    """Say, by task, where the reference does not beat a baseline: then little was learned that could be shared.

    Args:
        trials: The trials by arm and unit.
        tasks: The tasks that are compared.
        question: What the study asks.
    """
    notes: dict[str, str] = {}
    theirs = trials.get(question.reference, {})
    for name, units in baseline_scores(trials, question).items():
        for task in tasks:
            pairs = [
                (100 * score, scores[task])
                for unit, scores in units.items()
                if task in scores and (score := theirs[unit].score(task)) is not None
            ]
            ours, other = np.mean(pairs, axis=0) if pairs else (1, 0)
            if ours <= other:
                notes[task] = (
                    f"{task}: {question.reference} ({ours:.1f}) does not beat the baseline {name} ({other:.1f}): at "
                    "this budget the comparison says little of models that are trained to their end."
                )
    return notes


def fewer_rows(trials: Trials, question: Question) -> list[str]:
    """Say which baselines saw fewer rows than the models, and have no score for that.

    Args:
        trials: The trials by arm and unit.
        question: What the study asks.
    """
    found: dict[str, dict[str, None]] = {}
    for _, name, said in _said(trials, question):
        found.setdefault(name, {}).update(dict.fromkeys(said.get("fewer_rows") or ()))
    return [
        f"{name} was asked of fewer test rows of {', '.join(tasks)} than the models (max_rows), and is compared with "
        "nothing there."
        for name, tasks in found.items()
        if tasks
    ]


def _said(trials: Trials, question: Question) -> Iterator[tuple[Unit, str, dict[str, Any]]]:
    """Give what each run of the reference says of each baseline."""
    for unit, trial in trials.get(question.reference, {}).items():
        for record in trial.records:
            for name, said in (record.get("baselines") or {}).items():
                yield unit, name, said or {}
