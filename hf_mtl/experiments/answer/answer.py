"""The answer of a study: of each arm against the reference what it does to each task, and to all of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hf_mtl.experiments.answer.causes import Cause, causes_of
from hf_mtl.experiments.answer.comparing import Comparison, compare_all, compare_task
from hf_mtl.experiments.answer.costs import Cost, cost_of, ensemble_price, unequal_costs
from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.answer.trials import (
    Trial,
    Trials,
    Unit,
    is_merged,
    is_single,
    is_untrained,
    tasks_of,
    trials_of,
)
from hf_mtl.experiments.evidence import Evidence
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.statistics import MeanInterval, mean_interval
from hf_mtl.experiments.verdict import Verdict, verdicts

Key = tuple[str, str | None]
"""An arm and a task; None: all tasks."""


@dataclass(frozen=True)
class Answer:
    """What the records of a study come to.

    Args:
        question: What it asks.
        tasks: The tasks that are compared: those that the reference trains.
        trials: Its trials by arm and unit.
        comparisons: Of each arm beside the reference, by arm and task, and by arm and None over all tasks.
        verdicts: What is said of each.
        causes: Where an arm scores lower than the reference by what matters, why that may be.
        costs: What each arm took for one seed.
        weak: Tasks on which the reference does not beat a baseline.
        notes: What a reader should know beside the numbers, a sentence each.
    """

    question: Question
    tasks: list[str]
    trials: Trials
    comparisons: dict[Key, Comparison]
    verdicts: dict[Key, Verdict]
    causes: dict[Key, list[Cause]]
    costs: dict[str, Cost]
    weak: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def arms(self) -> list[str]:
        """Return the arms that are compared with the reference."""
        return list(dict.fromkeys(arm for arm, _ in self.comparisons))

    @property
    def best(self) -> str | None:
        """Return the trained arm that scores best on validation, not on test; None: none has all scores."""
        scored = {arm: self._validation(arm) for arm in self._trained}
        known = {arm: value for arm, value in scored.items() if not math.isnan(value)}
        return max(known, key=lambda arm: known[arm]) if known else None

    @property
    def shown(self) -> str | None:
        """Return the arm that the first sentence is of: the best, or else the first; None: there is none."""
        return self.best or next(iter(self._trained), None)

    @property
    def _trained(self) -> list[str]:
        return [arm for arm in self.arms if not is_merged(self.trials[arm])] or self.arms

    @property
    def against_single(self) -> bool:
        """Tell whether the reference trains each task by itself."""
        return is_single(self.trials.get(self.question.reference, {}))

    def score(self, arm: str, task: str) -> MeanInterval | None:
        """Return the mean test score of an arm on a task, in points, with its plain 95% interval; None: none."""
        values = [trial.score(task) for trial in self.trials.get(arm, {}).values()]
        known = [100 * value for value in values if value is not None]
        return mean_interval(known) if known else None

    def average(self, arm: str, split: str = "test") -> MeanInterval | None:
        """Return the mean over tasks of an arm's scores, in points; None where no run has all tasks."""
        means = []
        for trial in self.trials.get(arm, {}).values():
            scores = [trial.score(task, split) for task in self.tasks]
            if None not in scores:
                means.append(100 * float(np.mean([value for value in scores if value is not None])))
        return mean_interval(means) if means else None

    def _validation(self, arm: str) -> float:
        found = self.average(arm, "validation")
        return math.nan if found is None else found.mean


def answer(records: Sequence[Record], question: Question) -> Answer:
    """Answer a study from its records.

    Holm's correction counts all arms by tasks as one family, and the arms over all tasks as another.

    Args:
        records: The lines of its ``results.jsonl``.
        question: What it asks.
    """
    trials, notes = trials_of(records, question)
    theirs = trials.get(question.reference, {})
    every = tasks_of(trials)
    tasks = [task for task in every if not is_untrained(task, theirs)]
    notes = [*question.notes, *notes]
    if others := [task for task in every if task not in tasks]:
        notes.append(f"{question.reference} does not train {', '.join(others)}: nothing is compared on that.")
    compared = [arm for arm in question.arms if arm != question.reference and arm in trials] if theirs else []
    rows = _rows(records, question.reference)
    comparisons: dict[Key, Comparison] = {}
    for arm in compared:
        each = {
            task: compare_task(arm, task, trials[arm], theirs, question, rows.get((arm, task), {})) for task in tasks
        }
        comparisons |= {(arm, task): item for task, item in each.items()}
        comparisons[arm, None] = compare_all(
            arm, list(each.values()), trials[arm], theirs, question, rows.get((arm, None), {})
        )
    judged = _judge(comparisons, question.smallest)
    causes = {
        key: causes_of(str(key[1]), (key[0], trials[key[0]]), (question.reference, theirs))
        for key, item in comparisons.items()
        if key[1] is not None
        and item.evidence.difference <= -question.smallest
        and not is_merged(trials[key[0]])  # nothing was trained together
    }
    costs = {arm: cost_of(trials[arm], question.folds or 1) for arm in question.arms if arm in trials}
    notes += [reason for item in comparisons.values() for reason in item.reasons]
    notes += _missing(question, trials, theirs)
    notes += unequal_costs(costs, question, [arm for arm in compared if not is_merged(trials[arm])])
    notes += ensemble_price(records)
    notes += _other_test_rows(records, question)
    weak = _baselines(trials, tasks, question)
    notes += weak.values()
    notes += [str(record["note"]) for record in records if record.get("kind") == "rows" and record.get("note")]
    notes = list(dict.fromkeys(notes))
    return Answer(question, tasks, trials, comparisons, judged, causes, costs, tuple(weak), notes)


def _judge(comparisons: Mapping[Key, Comparison], smallest: float) -> dict[Key, Verdict]:
    found = {key: item.evidence for key, item in comparisons.items()}
    tasks = {key: item for key, item in found.items() if key[1] is not None}
    return verdicts(tasks, smallest) | verdicts({key: found[key] for key in found if key not in tasks}, smallest)


def _rows(records: Sequence[Record], reference: str) -> dict[Key, dict[str, Evidence]]:
    """Return the evidence by test rows, by arm and task, and of these by unit."""
    found: dict[Key, dict[str, Evidence]] = {}
    for record in records:
        said = record.get("evidence") if record.get("kind") == "rows" else None
        if said is not None and record.get("against", reference) == reference:
            numbers: Any = {key: math.nan if said.get(key) is None else said[key] for key in Evidence._fields}
            item = Evidence(**{**numbers, "n": int(said.get("n") or 0), "by": "rows"})
            found.setdefault((str(record["arm"]), record.get("task")), {})[Unit.of(record).name] = item
    return found


def _missing(question: Question, trials: Trials, theirs: Mapping[Unit, Trial]) -> list[str]:
    """Say which arms have no run, and that nothing can be compared without a reference."""
    notes = []
    if not theirs:
        notes.append(f"{question.reference or 'the reference'} has no finished run: nothing can be compared with it.")
    for arm in question.arms:
        if arm not in trials:
            notes.append(f"{arm} has no finished run: nothing is said of it.")
    return notes


def _other_test_rows(records: Sequence[Record], question: Question) -> list[str]:
    """Say which tasks have other test rows for each seed, which no fold has dealt out."""
    found: dict[tuple[str, str], set[str]] = {}
    for record in [] if question.folds else records:
        for task, content in (record.get("test_rows") or {}).items():
            found.setdefault((str(record["arm"]), task), set()).add(content)
    other = dict.fromkeys(task for (_, task), contents in found.items() if len(contents) > 1)
    if not other:
        return []
    return [
        f"{', '.join(other)}: the seeds have different test rows. Those of one seed may be training rows of another, "
        "so that intervals over seeds are too narrow."
    ]


def _baselines(trials: Trials, tasks: Sequence[str], question: Question) -> dict[str, str]:
    """Say, by task, where the reference does not beat a baseline: then little was learned that could be shared."""
    notes: dict[str, str] = {}
    for task in tasks:
        pairs: dict[str, list[tuple[float, float]]] = {}
        for trial in trials.get(question.reference, {}).values():
            record, score = trial.of(task), trial.score(task)
            for name, said in ((record or {}).get("baselines") or {}).items():
                value = ((said or {}).get("test") or {}).get(task)
                if value is not None and score is not None:
                    pairs.setdefault(name, []).append((100 * score, 100 * value))
        for name, values in pairs.items():
            ours, theirs = np.mean(values, axis=0)
            if ours <= theirs:
                notes[task] = (
                    f"{task}: {question.reference} ({ours:.1f}) does not beat the baseline {name} ({theirs:.1f}): at "
                    "this budget the comparison says little of models that are trained to their end."
                )
    return notes
