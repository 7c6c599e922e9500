"""The answer in words: a sentence first, then tables, then how it was found."""

import math
from collections.abc import Mapping

from hf_mtl.experiments.answer.answer import Answer
from hf_mtl.experiments.answer.compared import compared_lines
from hf_mtl.experiments.answer.headline import NEAR_0, WIDEST, headline
from hf_mtl.experiments.answer.tables import (
    costs_table,
    overall_table,
    points,
    rows_shown,
    scores_table,
    verdicts_table,
)
from hf_mtl.experiments.evidence import RESAMPLES
from hf_mtl.experiments.report import Report

_NOT_PROVEN = "lower, which is not proven"
_MOST_CAUSES = 15
"""Causes that a reader reads; more are a wall."""


def build(found: Answer) -> Report:
    """Make the report for a terminal and for a document.

    Args:
        found: The answer.
    """
    report = Report()
    report.add(headline(found), gap=0)
    if few := few_seeds(found):
        report.add(few, gap=0, document=False)
    if found.comparisons:
        report.add(verdicts_table(found))
        report.add(overall_table(found))
    if found.trials:
        report.add(scores_table(found))
        report.add(costs_table(found))
    if causes := cause_lines(found):
        report.add("Where an arm scores lower by what matters, and why that may be:")
        report.add(causes, gap=0)
    if found.notes:
        report.add("What to know beside the numbers:")
        report.add(found.notes, gap=0)
    if lines := compared_lines(found):
        report.add("What was compared:", document=False)
        report.add(lines, gap=0, document=False)
    report.add("How this was found:")
    report.add([*methods(found), *([_terms(found)] if found.comparisons else [])], gap=0)
    return report


def cause_lines(found: Answer) -> list[str]:
    """Say for each loss why it may be, a line each; of very many losses only of those that are proven.

    Args:
        found: The answer.
    """
    every = causes(found)
    proven = [lead for lead in every if _NOT_PROVEN not in lead]
    shown = list(every) if len(every) <= _MOST_CAUSES else proven
    lines = [f"{lead}: {' '.join(texts)}" for lead, texts in shared({lead: every[lead] for lead in shown}).items()]
    if left := len(every) - len(shown):
        lines.append(f"{left:,} more are lower, which is not proven; their causes are in report.html.")
    return lines


def causes(found: Answer) -> dict[str, list[str]]:
    """Give the likely causes of each loss, by what is lost.

    Args:
        found: The answer.
    """
    lines = {}
    for (arm, task), items in found.causes.items():
        evidence = found.comparisons[arm, task].evidence
        harmed = "worse in these models" if evidence.by == "rows" else "harmed"
        proven = harmed if found.verdicts[arm, task].word == "harms" else _NOT_PROVEN
        lines[f"{found.label(arm)}, {task} ({evidence.difference:+.2f} points, {proven})"] = [
            item.text for item in items
        ]
    return lines


def shared(every: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Say causes that several losses have in the same words once, with all that they are of.

    Args:
        every: The causes, by what is lost.
    """
    leads: dict[tuple[str, ...], list[str]] = {}
    for lead, texts in every.items():
        leads.setdefault(tuple(texts), []).append(lead)
    return {"; ".join(some): list(texts) for texts, some in leads.items()}


def few_seeds(found: Answer) -> str:
    """Say that two seeds are too few; empty where intervals come from more, or from something else.

    Args:
        found: The answer.
    """
    evidence = [item.evidence for item in found.comparisons.values()]
    counts = [item.n for item in evidence if item.by == "seeds" and not math.isnan(item.low)]
    alone = found.average(found.question.reference) if found.is_alone and not found.question.folds else None
    counts += [] if alone is None else [alone.n]
    if max(counts, default=0) != 2:
        return ""
    return (
        "2 seeds can hardly show anything: the 95% interval of two numbers is 13 times as wide as they are apart; "
        "take at least 3 (5 are better); what is there stays."
    )


def methods(found: Answer) -> list[str]:
    """Say how the answer was found, a line each.

    Args:
        found: The answer.
    """
    question, smallest = found.question, points(found.question.smallest)
    if found.is_alone:
        return [
            _scores(found),
            f"Models are chosen on validation rows; test rows are scored once. Repeated: {repeats(found)}.",
        ]
    budget = f"equal {question.budget} for every arm of a seed" if question.budget else "the study does not say"
    chosen = (
        "Models are chosen on validation rows, and so is the arm of the first sentence"
        if found.best is not None
        else "Models are chosen on validation rows. The first sentence is of the first arm, as no arm that can be "
        "compared on all tasks has validation scores of them"
    )
    tested = sum(not math.isnan(item.evidence.p) for (_, task), item in found.comparisons.items() if task is not None)
    return [
        _scores(found),
        f"A positive difference speaks for the arm, against {question.reference}.",
        f"{chosen}; test rows are scored once.",
        f"Budget: {budget}. Repeated: {repeats(found)}.",
        f"Intervals are plain 95% intervals, not corrected for the number of comparisons; {_test(found)}.",
        f"Holm: p-values corrected for {_comparisons(tested)} of arms by tasks that could be tested; the arms over "
        "all tasks are a family of their own.",
        f"Verdicts: helps or harms where Holm's p is at most 0.05 and the difference at least {smallest}; "
        f"equivalent where the 90% interval lies within ±{smallest} (two one-sided tests); else no evidence "
        f"at this budget. {_seeds(found)}",
        *_by_rows(found),
    ]


def _scores(found: Answer) -> str:
    return (
        "Scores are of test rows, in points: 100 times the mean of a task's metrics of which more is better; behind "
        f"± stands half of their plain 95% interval over {'splits' if found.question.folds else 'seeds'}."
    )


def _terms(found: Answer) -> str:
    """Name what stands in the columns; the page has a line for each."""
    question = found.question
    return (
        "delta-p: mean over tasks of the mean relative change of their metrics, in percent; in the first sentence "
        f"only where no metric of {question.reference} is closer to 0 than {NEAR_0:g} and its interval is at most "
        f"{WIDEST:g}% wide. g: Hedges' g. Cliff: Cliff's delta. w/t/l: wins, ties and losses; a tie is a difference "
        f"below {points(question.smallest)}."
    )


def _comparisons(count: int) -> str:
    return "the one comparison" if count == 1 else f"the {count:,} comparisons"


def repeats(found: Answer) -> str:
    """Say what was repeated how often.

    Args:
        found: The answer.
    """
    question, count = found.question, len(found.question.seeds)
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    return f"{seeds} of {question.folds} folds" if question.folds else seeds


def _test(found: Answer) -> str:
    if found.question.folds:
        return (
            "by the corrected resampled t-test of Nadeau and Bengio (2003), as the folds share training rows; what "
            "is repeated is the split, whose difference is the mean over its seeds; over all tasks with the largest "
            "share of test rows that a task has"
        )
    if any(item.evidence.by == "rows" for item in found.comparisons.values()):
        return "by paired t-tests on the differences of each seed; where one seed is all there is, by its rows"
    if found.question.units == 1:
        return "there are none of one seed whose test rows were not compared"
    return "by paired t-tests on the differences of each seed"


def _seeds(found: Answer) -> str:
    """Say what the number of seeds beside a verdict means, and where none is said."""
    smallest = points(found.question.smallest)
    if found.question.folds:
        return f"How many repeats would show {smallest} is not said of folds, whose training rows overlap."
    return (
        f"Seeds that would show {smallest}, the smallest difference of interest, not the one that was seen: for a "
        "power of 80% of the paired t-test at the spread that was seen and Holm's strictest level; not said where it "
        "is above 10,000, or no more than were run."
    )


def _by_rows(found: Answer) -> list[str]:
    """Say how rows were compared, where they were."""
    shown = rows_shown(found)
    if shown is None:
        return []
    return [
        f"By rows: paired bootstrap over the test rows (up to {RESAMPLES:,} draws, percentile interval), in tables "
        f"the difference of {shown} alone. It holds for the trained models at hand and says nothing of other "
        "seeds; with one seed it is all there is."
    ]
