"""Results as plain-text tables."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hf_mtl.shown import shown, visible

SUMMARIES = {
    "average": "average: mean over tasks, of each the mean of its metrics of which more is better",
    "macro": "macro: mean over tasks, of each the first of these metrics alone",
    "worst": "worst: the lowest of the tasks' means",
}


def results_table(results: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Lay out every task's scores, and what they come to.

    Args:
        results: ``{"tasks": {task: {metric: value}}, "average": ..., "macro": ..., "worst": ...}``.
        baselines: Results to compare with, by the name of their column; what they lack is left empty.
    """
    columns = {"score": results, **(baselines or {})}
    if not results["tasks"]:
        return "no scores"
    header = ["task", "metric", *columns]
    rows = [row for task in results["tasks"] for row in _task_rows(task, results, columns)]
    summary = [
        [name, "", *(_score(column, name) for column in columns.values())] for name in SUMMARIES if name in results
    ]
    return aligned([header, *rows], left=2, footer=summary)


def _task_rows(
    task: str, results: Mapping[str, Any], columns: Mapping[str, Mapping[str, Any]]
) -> Iterator[list[str]]:
    of_task = [column.get("tasks", {}).get(task, {}) for column in columns.values()]
    for index, metric in enumerate(results["tasks"][task]):
        yield ["" if index else task, metric, *(_score(scores, metric) for scores in of_task)]


def results_notes(results: Mapping[str, Any]) -> str:
    """Say what the numbers of a table mean, and what a reader should know beside them, a line each."""
    baselines = results.get("baselines") or {}
    notes = [*results.get("notes", ())]
    notes += [f"{name}: {note}" for name, found in baselines.items() for note in found.get("notes", ())]
    meanings = [meaning for name, meaning in SUMMARIES.items() if name in results]
    said = ["", *map(shown, notes)] if notes else []
    return "\n".join([*meanings, *said])


def aligned(rows: Sequence[Sequence[str]], left: int, footer: Sequence[Sequence[str]] = (), rule: bool = True) -> str:
    """Lay out cells in columns: the first ``left`` aligned to the left, as words are, the others to the right.

    Args:
        rows: Rows of equal length, the header first.
        left: Number of columns of words.
        footer: Rows below a second line.
        rule: Draw a line below the header.
    """
    # A name with line breaks, or with what a terminal obeys, stays in its cell.
    rows, footer = _visible(rows), _visible(footer)
    widths = [max(len(row[column]) for row in [*rows, *footer]) for column in range(len(rows[0]))]

    def text(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    line = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [text(row) for row in rows]
    if rule:
        lines.insert(1, line)
    if footer:
        lines += [line, *map(text, footer)]
    return "\n".join(lines)


def _visible(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[visible(cell) for cell in row] for row in rows]


def _score(scores: Mapping[str, Any], name: str) -> str:
    if name not in scores:
        return ""
    value = scores[name]
    return "undefined" if value is None or math.isnan(value) else f"{value:.4f}"
