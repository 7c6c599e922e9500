"""The answer in words: a sentence first, then tables, then how it was found."""

import math
from collections.abc import Sequence

from hf_mtl.experiments.answer.answer import Answer, Key
from hf_mtl.experiments.answer.trials import is_merged
from hf_mtl.experiments.evidence import Evidence
from hf_mtl.experiments.report import Report, Table
from hf_mtl.experiments.statistics import MeanInterval

UNKNOWN = "-"


def headline(found: Answer) -> str:
    """Say in a sentence or two what training together did, by the arm that is best on validation.

    Args:
        found: The answer.
    """
    arm = found.best
    if arm is None:
        return "Nothing can be said yet: there are no finished runs to compare."
    words = [found.verdicts[arm, task].word for task in found.tasks]
    by_rows = found.comparisons[arm, None].evidence.by == "rows" or any(
        found.comparisons[arm, task].evidence.by == "rows" for task in found.tasks
    )
    counted = _counted(words, by_rows)
    return f"{subject(found, arm)} {counted}. {_overall(found, arm)}"


def subject(found: Answer, arm: str) -> str:
    """Name an arm as the subject of a sentence.

    Args:
        found: The answer.
        arm: The arm.
    """
    if is_merged(found.trials[arm]):
        return f"Merging the single-task models ({arm})"
    return f"Training together ({arm})" if found.against_single else f"{arm}, against {found.question.reference},"


def _counted(words: Sequence[str], by_rows: bool) -> str:
    """Say how many tasks each word is said of."""
    total = len(words)
    helped, harmed, same, unsure = (words.count(word) for word in ("helps", "harms", "equivalent", "no evidence"))
    if unsure == total:
        tasks = "the task" if total == 1 else f"any of the {total} tasks"
        return f"neither helped nor harmed {tasks} as far as this budget tells"
    if by_rows:
        parts = [f"scored better on {helped} of {_tasks(total)} by the one seed that was run"]
        parts += [f"worse on {harmed}"] if harmed else []
    else:
        parts = [f"helped {helped} of {_tasks(total)}"]
        parts += [f"harmed {harmed}"] if harmed else []
    parts += [f"made no difference that matters on {same}"] if same else []
    parts += [f"left {unsure} undecided at this budget"] if unsure else []
    return ", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else parts[0]


def _tasks(count: int) -> str:
    return f"{count} task" if count == 1 else f"{count} tasks"


def _overall(found: Answer, arm: str) -> str:
    item, verdict = found.comparisons[arm, None], found.verdicts[arm, None]
    if math.isnan(item.evidence.difference):
        return "Over all tasks nothing can be said, as not every task has a score."
    relative = item.delta_p.difference
    more = "" if math.isnan(relative) else f"; delta-p {relative:+.1f}%"
    text = f"Over all tasks it is {points(item.evidence)}{more}: {said(verdict.word)}"
    if item.evidence.by == "rows":
        return f"{text}, for these trained models alone; what another seed would give is not known."
    if math.isnan(item.evidence.low):
        return f"{text}: of one run nobody can tell how sure that is."
    return f"{text}."


def said(word: str) -> str:
    """Return a verdict as the end of a sentence.

    Args:
        word: The verdict's.
    """
    return {
        "helps": "it helps",
        "harms": "it harms",
        "equivalent": "no difference that matters",
        "no evidence": "no evidence either way at this budget",
    }[word]


def points(item: Evidence) -> str:
    """Show a difference with its plain 95% interval.

    Args:
        item: The evidence.
    """
    if math.isnan(item.difference):
        return UNKNOWN
    return f"{item.difference:+.2f} points{interval(item)}"


def interval(item: Evidence) -> str:
    """Show a plain 95% interval behind a number; nothing where it is not known.

    Args:
        item: The evidence.
    """
    return "" if math.isnan(item.low) else f" [{item.low:+.2f}, {item.high:+.2f}]"


def verdict_of(found: Answer, key: Key) -> str:
    """Return a verdict with what would settle it.

    Args:
        found: The answer.
        key: Arm and task.
    """
    verdict, item = found.verdicts[key], found.comparisons[key]
    if not item.differences:
        return "not compared"
    if math.isnan(item.evidence.difference):
        return "no evidence (no score)"
    if verdict.word != "no evidence":
        return f"{verdict.word} (these models)" if item.evidence.by == "rows" else verdict.word
    if verdict.seeds is not None:
        return f"no evidence; {verdict.seeds:,} seeds would tell"
    return "no evidence; more seeds are needed" if len(item.differences) < 2 else "no evidence"


def build(found: Answer) -> Report:
    """Make the report for a terminal and for a document.

    Args:
        found: The answer.
    """
    report = Report()
    report.add(headline(found), gap=0)
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
    report.add("How this was found:")
    report.add(methods(found), gap=0)
    return report


def verdicts_table(found: Answer) -> Table:
    """Lay out arms by tasks: difference, interval, p-values, effects and verdict.

    Args:
        found: The answer.
    """
    rows = []
    for arm in found.arms:
        for task in found.tasks:
            item, verdict = found.comparisons[arm, task], found.verdicts[arm, task]
            rows.append(
                [
                    f"{arm}: {task}",
                    _number(item.evidence.difference, "+.2f"),
                    interval(item.evidence).strip() or UNKNOWN,
                    item.evidence.by,
                    str(item.evidence.n),
                    p_value(item.evidence.p),
                    p_value(verdict.holm),
                    _number(item.hedges, "+.2f"),
                    _number(item.cliff, "+.2f"),
                    "/".join(map(str, item.outcomes)),
                    _by_rows(item.rows),
                    verdict_of(found, (arm, task)),
                ]
            )
    numbers = ["points", "95% interval", "by", "n", "p", "Holm", "g", "Cliff", "w/t/l", "by rows"]
    return Table(["arm: task", *numbers, "verdict"], rows)


def overall_table(found: Answer) -> Table:
    """Lay out arms over all tasks.

    Args:
        found: The answer.
    """
    rows = []
    for arm in found.arms:
        item, verdict = found.comparisons[arm, None], found.verdicts[arm, None]
        rows.append(
            [
                f"{arm}: all tasks",
                _number(item.evidence.difference, "+.2f"),
                interval(item.evidence).strip() or UNKNOWN,
                str(item.evidence.n),
                f"{_number(item.delta_p.difference, '+.2f')}{interval(item.delta_p)}",
                p_value(verdict.holm),
                "/".join(map(str, item.outcomes)),
                _by_rows(item.rows),
                verdict_of(found, (arm, None)),
            ]
        )
    return Table(["arm", "points", "95% interval", "n", "delta-p %", "Holm", "w/t/l", "by rows", "verdict"], rows)


def scores_table(found: Answer) -> Table:
    """Lay out the mean test scores of all arms, in points.

    Args:
        found: The answer.
    """
    rows = []
    for arm in found.costs:
        scores = [found.score(arm, task) for task in found.tasks]
        rows.append([arm, *map(plus_minus, scores), plus_minus(found.average(arm))])
    return Table(["test score", *found.tasks, "mean"], rows)


def costs_table(found: Answer) -> Table:
    """Lay out what a seed of each arm took.

    Args:
        found: The answer.
    """
    rows = []
    for arm, cost in found.costs.items():
        numbers = [(cost.steps, ",.0f"), (cost.backward_passes, ",.0f"), (cost.flops, ".3g"), (cost.seconds, ",.0f")]
        shown = [_number(value, spec) for value, spec in numbers] if cost.trained else [UNKNOWN] * 4
        rows.append([arm, str(cost.runs), *shown, str(cost.models)])
    return Table(["cost of a seed", "runs", "steps", "backward passes", "FLOPs", "seconds", "models to serve"], rows)


def cause_lines(found: Answer) -> list[str]:
    """Say for each loss why it may be, a line each.

    Args:
        found: The answer.
    """
    return [f"{lead}: {' '.join(texts)}" for lead, texts in causes(found).items()]


def causes(found: Answer) -> dict[str, list[str]]:
    """Give the likely causes of each loss, by what is lost.

    Args:
        found: The answer.
    """
    lines = {}
    for (arm, task), items in found.causes.items():
        proven = "harmed" if found.verdicts[arm, task].word == "harms" else "lower, which is not proven"
        difference = found.comparisons[arm, task].evidence.difference
        lines[f"{arm}, {task} ({difference:+.2f} points, {proven})"] = [item.text for item in items]
    return lines


def methods(found: Answer) -> list[str]:
    """Say how the answer was found, a line each.

    Args:
        found: The answer.
    """
    question, smallest = found.question, f"{found.question.smallest:g}"
    budget = f"equal {question.budget} for every arm of a seed" if question.budget else "the study does not say"
    tested = sum(not math.isnan(item.evidence.p) for (_, task), item in found.comparisons.items() if task is not None)
    return [
        "Scores are of test rows, in points: 100 times the mean of a task's metrics of which more is better. A positive "
        f"difference speaks for the arm, against {question.reference}.",
        "Models are chosen on validation rows, and so is the arm of the first sentence; test rows are scored once.",
        f"Budget: {budget}. Repeated: {repeats(found)}.",
        f"Intervals are plain 95% intervals, not corrected for the number of comparisons; by {_test(found)}.",
        f"Holm: p-values corrected for the {tested} comparisons of arms by tasks that could be tested; the arms over "
        "all tasks are a family of their own.",
        f"Verdicts: helps or harms where Holm's p is at most 0.05 and the difference at least {smallest} points; "
        f"equivalent where the 90% interval lies within ±{smallest} points (two one-sided tests); else no evidence at "
        "this budget. Seeds that would tell: for a power of 80% at that difference and the spread that was seen.",
        "By rows: paired bootstrap over the test rows (10,000 draws, percentile interval). It holds for the trained "
        "models at hand and says nothing of other seeds; with one seed it is all there is.",
        "delta-p: mean over tasks of the mean relative change of their metrics, in percent. g: Hedges' g. Cliff: "
        f"Cliff's delta. w/t/l: wins, ties and losses; a tie is a difference below {smallest} points.",
    ]


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
        return "the corrected resampled t-test of Nadeau and Bengio (2003), as the folds share training rows"
    return "paired t-tests on the differences of each seed"


def plus_minus(item: MeanInterval | None) -> str:
    """Show a mean score with half of its plain 95% interval.

    Args:
        item: The mean; None: there is none.
    """
    if item is None:
        return UNKNOWN
    if math.isnan(item.mean):
        return "undefined"
    return f"{item.mean:.1f}" if math.isnan(item.low) else f"{item.mean:.1f} ± {item.high - item.mean:.1f}"


def _number(value: float, spec: str) -> str:
    return UNKNOWN if math.isnan(value) else format(value, spec)


def p_value(value: float) -> str:
    """Show a p-value.

    Args:
        value: The value; NaN: there is none.
    """
    return "<.001" if value < 0.001 else _number(value, ".3f")


def _by_rows(rows: dict[str, Evidence] | object) -> str:
    """Show the interval by rows of the first seed; others are in ``answer.json``."""
    first = next(iter(rows.values()), None) if isinstance(rows, dict) else None
    return UNKNOWN if first is None else interval(first).strip() or UNKNOWN
