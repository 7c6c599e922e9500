"""Tables of an answer, for a terminal, a document and a page."""

import math
from collections.abc import Sequence

from hf_mtl.experiments.answer.answer import Answer, Key
from hf_mtl.experiments.answer.headline import UNKNOWN, interval
from hf_mtl.experiments.answer.repeated import repeated_by
from hf_mtl.experiments.evidence import Evidence
from hf_mtl.experiments.report import Table
from hf_mtl.experiments.statistics import MeanInterval

_MOST_SEEDS = 1_000
"""A larger number is no better known than the spread that it comes from, and nobody trains so many."""


def verdicts_table(found: Answer) -> Table:
    """Lay out arms by tasks: difference, interval, p-values, effects and verdict.

    Args:
        found: The answer.
    """
    columns = ["points", "95% interval", "by", "n", "p", "Holm", "g", "Cliff", "w/t/l", "by rows", "verdict"]
    return _table(found, "arm: task", columns, [(arm, task) for arm in found.arms for task in found.tasks])


def overall_table(found: Answer) -> Table:
    """Lay out arms over all tasks.

    Args:
        found: The answer.
    """
    columns = ["points", "95% interval", "n", "delta-p %", "Holm", "w/t/l", "by rows", "verdict"]
    return _table(found, "arm", columns, [(arm, None) for arm in found.arms])


def _table(found: Answer, first: str, columns: Sequence[str], keys: Sequence[Key]) -> Table:
    """Lay out comparisons: a name, and what the columns ask of each."""
    rows = []
    for key in keys:
        cells = _cells(found, key)
        name = f"{found.label(key[0])}: {key[1] or 'all tasks'}"
        rows.append([name, *(cells[column] for column in columns if column in cells)])
    shown = rows_shown(found)
    names = {"by rows": f"by rows, {shown}"}
    return Table([first, *(names.get(name, name) for name in columns if name != "by rows" or shown)], rows)


def rows_shown(found: Answer) -> str | None:
    """Name the seed or fold whose test rows stand in tables, the first; None: rows were not compared.

    Args:
        found: The answer.
    """
    return next((name for item in found.comparisons.values() for name in item.rows), None)


def points(value: float) -> str:
    """Name a number of points.

    Args:
        value: The number.
    """
    return f"{value:g} point" + ("" if value == 1 else "s")


def _cells(found: Answer, key: Key) -> dict[str, str]:
    """Show all that is known of a comparison, by column."""
    item, shown = found.comparisons[key], rows_shown(found)
    by_rows = {} if shown is None else {"by rows": _by_rows(item.rows.get(shown))}
    return {
        "points": _number(item.evidence.difference, "+.2f"),
        "95% interval": interval(item.evidence).strip() or UNKNOWN,
        "by": repeated_by(found.question) if item.same else item.evidence.by,
        "n": str(item.evidence.n),
        "p": p_value(item.evidence.p),
        "Holm": p_value(found.verdicts[key].holm),
        "g": _number(item.hedges, "+.2f"),
        "Cliff": _number(item.cliff, "+.2f"),
        "delta-p %": f"{_number(item.delta_p.difference, '+.2f')}{interval(item.delta_p)}",
        "w/t/l": "/".join(map(str, item.outcomes)),
        **by_rows,
        "verdict": verdict_of(found, key),
    }


def scores_table(found: Answer) -> Table:
    """Lay out the mean test scores of all arms, in points.

    Args:
        found: The answer.
    """
    rows = []
    for arm in found.costs:
        scores = [found.score(arm, task) for task in found.tasks]
        rows.append([found.label(arm), *map(plus_minus, scores), plus_minus(found.average(arm))])
    for name in found.baselines:
        means = found.baseline(name)
        rows.append([f"baseline {name}", *(plus_minus(means.get(task)) for task in (*found.tasks, None))])
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
        rows.append([found.label(arm), str(cost.runs), *shown, str(cost.models)])
    return Table(["cost of a seed", "runs", "steps", "backward passes", "FLOPs", "seconds", "models to serve"], rows)


def verdict_of(found: Answer, key: Key) -> str:
    """Return a verdict with what would settle it.

    Args:
        found: The answer.
        key: Arm and task.
    """
    verdict, item = found.verdicts[key], found.comparisons[key]
    if verdict.word == "same runs":
        return verdict.word
    if not item.differences:
        return "not compared"
    if math.isnan(item.evidence.difference):
        return "no evidence (no score)"
    if verdict.word != "no evidence":
        return f"{verdict.word} (these models)" if item.evidence.by == "rows" else verdict.word
    if verdict.seeds is not None:
        seeds = f"{verdict.seeds:,}" if verdict.seeds <= _MOST_SEEDS else f"more than {_MOST_SEEDS:,}"
        return f"no evidence; {seeds} seeds would show {points(found.question.smallest)}"
    return "no evidence; more seeds are needed" if len(item.differences) < 2 else "no evidence"


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


def p_value(value: float) -> str:
    """Show a p-value.

    Args:
        value: The value; NaN: there is none.
    """
    return "<.001" if value < 0.001 else _number(value, ".3f")


def _number(value: float, spec: str) -> str:
    return UNKNOWN if math.isnan(value) else format(value, spec)


def _by_rows(item: Evidence | None) -> str:
    """Show the estimate of one seed with its interval by rows; those of others are in ``answer.json``."""
    return UNKNOWN if item is None else f"{_number(item.difference, '+.2f')}{interval(item)}"
