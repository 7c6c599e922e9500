"""The answer of a study: of each arm against the reference what it does to each task, and to all of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hf_mtl.experiments.answer.aggregators import aggregator_of
from hf_mtl.experiments.answer.baselines import baseline_scores, below_a_baseline, fewer_rows
from hf_mtl.experiments.answer.causes import Cause, causes_of
from hf_mtl.experiments.answer.comparing import Comparison, compare_all, compare_task
from hf_mtl.experiments.answer.costs import Cost, cost_of, ensemble_price, unequal_costs
from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.answer.questioned import constant_predictions, undefined_metrics
from hf_mtl.experiments.answer.repeated import interval_of
from hf_mtl.experiments.answer.told_once import told_once
from hf_mtl.experiments.answer.trials import (
    Trial,
    Trials,
    Unit,
    is_merged,
    is_single,
    is_untrained,
    label_of,
    tasks_of,
    trials_of,
    untested,
)
from hf_mtl.experiments.answer.unfinished import Unfinished, parts_of, unfinished
from hf_mtl.experiments.evidence import Evidence
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.statistics import MeanInterval
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
        unfinished: The runs that it lacks.
        untested: Tasks without test rows, which are not compared.
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
    unfinished: Unfinished = field(default_factory=Unfinished)
    untested: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def arms(self) -> list[str]:
        """Return the arms that are compared with the reference."""
        return list(dict.fromkeys(arm for arm, _ in self.comparisons))

    @property
    def best(self) -> str | None:
        """Return the trained arm that scores best on validation, not on test; None: none has all scores.

        Of arms that were scored in other ways than the reference on a task, none is the best.
        """
        scored = {arm: self._validation(arm) for arm in self._trained if self.comparisons[arm, None].differences}
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
    def is_alone(self) -> bool:
        """Tell whether the study has one arm, which is compared with nothing and whose scores are the answer."""
        return not self.arms and list(self.trials) == list(self.question.arms)

    @property
    def against_single(self) -> bool:
        """Tell whether the reference trains each task by itself."""
        return is_single(self.trials.get(self.question.reference, {}))

    def label(self, arm: str) -> str:
        """Name an arm for people."""
        return label_of(arm, self.trials.get(arm, {}))

    def score(self, arm: str, task: str) -> MeanInterval | None:
        """Return the mean test score of an arm on a task, in points, with its plain 95% interval; None: none."""
        trials = self.trials.get(arm, {})
        scores = {unit: trial.score(task) for unit, trial in trials.items()}
        known = {unit: 100 * value for unit, value in scores.items() if value is not None}
        return interval_of(known, trials, [task], self.question)

    def baseline(self, name: str) -> dict[str | None, MeanInterval]:
        """Return the mean test scores of a baseline by task, in points, and under None those over all tasks."""
        found = baseline_scores(self.trials, self.question).get(name, {})
        each: dict[str | None, dict[Unit, float]] = {
            task: {unit: scores[task] for unit, scores in found.items() if task in scores} for task in self.tasks
        }
        whole = {unit: scores for unit, scores in found.items() if scores.keys() >= {*self.tasks}}
        each[None] = {unit: float(np.mean([scores[task] for task in self.tasks])) for unit, scores in whole.items()}
        trials = self.trials.get(self.question.reference, {})
        means = {
            task: interval_of(values, trials, self.tasks if task is None else [task], self.question)
            for task, values in each.items()
        }
        return {task: mean for task, mean in means.items() if mean is not None}

    @property
    def baselines(self) -> list[str]:
        """Return the names of the baselines that were scored."""
        return list(baseline_scores(self.trials, self.question))

    def average(self, arm: str, split: str = "test") -> MeanInterval | None:
        """Return the mean over tasks of an arm's scores, in points; None where no run has all tasks."""
        means, trials = {}, self.trials.get(arm, {})
        for unit, trial in trials.items():
            scores = [trial.score(task, split) for task in self.tasks]
            if scores and None not in scores:
                means[unit] = 100 * float(np.mean([value for value in scores if value is not None]))
        return interval_of(means, trials, self.tasks, self.question)

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
    without = untested(trials)
    every = [task for task in tasks_of(trials) if task not in without]
    tasks = [task for task in every if not is_untrained(task, theirs)]
    notes = [*question.notes, *notes]
    if without:
        notes.append(f"{', '.join(without)}: no test rows, so nothing is compared there; test_fraction makes some.")
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
        key: causes_of(
            str(key[1]), (key[0], trials[key[0]]), (question.reference, theirs), _aggregator(key[0], trials, question)
        )
        for key, item in comparisons.items()
        if key[1] is not None and not item.same and item.evidence.difference <= -question.smallest
    }
    parts = parts_of(records, question)
    costs = {arm: cost_of(trials[arm], parts[arm], question.folds or 1) for arm in question.arms if arm in trials}
    labels = {arm: label_of(arm, trials[arm]) for arm in question.arms if arm in trials}
    notes += told_once(comparisons.values(), labels)
    notes += _missing(question, trials, theirs)
    notes += unequal_costs(costs, question, [arm for arm in compared if not is_merged(trials[arm])])
    notes += ensemble_price(records)
    notes += _other_test_rows(records, question)
    weak = below_a_baseline(trials, tasks, question)
    notes += [*weak.values(), *fewer_rows(trials, question)]
    in_order = {label: trials[arm] for arm, label in labels.items()}
    notes += [*constant_predictions(in_order, tasks), *undefined_metrics(in_order, tasks)]
    notes += _notes_of_rows(records, question.reference)
    notes = list(dict.fromkeys(notes))
    trained = {arm: count for arm, count in parts.items() if not is_merged(trials.get(arm, {}))}
    lacking = unfinished(records, question, trained)
    return Answer(
        question, tasks, trials, comparisons, judged, causes, costs, lacking, tuple(without), tuple(weak), notes
    )


def _aggregator(arm: str, trials: Trials, question: Question) -> str | None:
    records = [record for trial in trials[arm].values() for record in trial.records]
    return aggregator_of(records, question.aggregators.get(arm))


def _judge(comparisons: Mapping[Key, Comparison], smallest: float) -> dict[Key, Verdict]:
    found = {key: item.evidence for key, item in comparisons.items() if not item.same}
    judged = {key: Verdict("same runs", item.evidence, math.nan) for key, item in comparisons.items() if item.same}
    for overall in (False, True):
        judged |= verdicts({key: item for key, item in found.items() if (key[1] is None) == overall}, smallest)
    return {key: judged[key] for key in comparisons}


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


def _notes_of_rows(records: Sequence[Record], reference: str) -> list[str]:
    """Return what was said of comparisons by rows with the reference; those with an earlier one stay in the file."""
    mine = [record for record in records if record.get("kind") == "rows" and record.get("note")]
    return [str(record["note"]) for record in mine if record.get("against", reference) == reference]


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
