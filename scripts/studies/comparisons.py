"""Comparing the arms of a study over seeds: paired differences, their intervals, Holm, Cliff's delta."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from study import Record

from hf_mtl.evaluation import cliffs_delta, holm, mean_interval, paired_t_test
from hf_mtl.reporting.tables import aligned

Runs = dict[str, list[Record]]


def runs_by_arm(records: Sequence[Record], arms: Sequence[str], steps: int, rows: int) -> Runs:
    """The runs of a budget by arm, in the order of their seeds; arms without runs are left out."""
    mine = [record for record in records if (record["steps"], record["rows"]) == (steps, rows)]
    found = {
        arm: sorted((record for record in mine if record["arm"] == arm), key=lambda record: record["seed"])
        for arm in arms
    }
    return {arm: runs for arm, runs in found.items() if runs}


def pairs(runs: Runs, left: str, right: str) -> list[tuple[Record, Record]]:
    """The runs of two arms with the same seed."""
    return [(a, b) for a in runs.get(left, []) for b in runs.get(right, []) if a["seed"] == b["seed"]]


def plus_minus(values: Sequence[float], digits: int = 2) -> str:
    """Mean and half of its 95% interval; the mean alone of one value."""
    if len(values) < 2:
        return f"{values[0]:.{digits}f}"
    interval = mean_interval(values)
    return f"{interval.mean:.{digits}f} ± {interval.high - interval.mean:.{digits}f}"


def contrasts_table(
    runs: Runs, contrasts: Sequence[tuple[str, str]], value: Callable[[Mapping[str, Any]], float], unit: str
) -> str:
    """Paired differences between arms; p of the paired t-test, adjusted for all of them.

    Args:
        runs: The runs.
        contrasts: Pairs of arms, first minus second.
        value: What is compared of a run.
        unit: What it is, for the header.
    """
    rows, tests = [], []
    for left, right in contrasts:
        both = [(value(a), value(b)) for a, b in pairs(runs, left, right)]
        if len(both) < 2:
            continue
        ours, theirs = zip(*both, strict=True)
        interval = mean_interval([a - b for a, b in both])
        tests.append(paired_t_test(ours, theirs).p)
        difference = f"{interval.mean:+.2f}"
        bounds = f"[{interval.low:+.2f}, {interval.high:+.2f}]"
        rows.append(
            [
                f"{left} - {right}",
                str(len(both)),
                difference,
                bounds,
                f"{tests[-1]:.3f}",
                f"{cliffs_delta(ours, theirs):+.2f}",
            ]
        )
    adjusted = holm(tests) if tests else []
    body = [[*row[:-1], f"{p:.3f}", row[-1]] for row, p in zip(rows, adjusted, strict=True)]
    return aligned([[f"contrast ({unit})", "n", "difference", "95% interval", "p", "Holm", "Cliff"], *body], left=1)
