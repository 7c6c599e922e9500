"""Figures of an answer: intervals by task, scores against cost, learning curves, conflicts."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_mtl.experiments.answer.answer import Answer, Key
from hf_mtl.experiments.answer.conflict_figure import columns_of, conflicts, matrices
from hf_mtl.experiments.answer.trials import Trial
from hf_mtl.experiments.results import Record
from hf_mtl.reporting.drawn import drawn
from hf_mtl.reporting.style import label_panel, new_figure, new_grid, plain_name, save, task_styles
from hf_mtl.shown import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLES = {
    "intervals.png": "Difference of each task, with plain 95% intervals",
    "costs.png": "Test score against what it took",
    "curves.png": "Validation scores while training",
    "conflicts.png": "Cosines of the tasks' gradients",
}
_GREY = "#777777"
_ORDINARY = 2.5
"""Inches of a panel."""


def draw(found: Answer, folder: Path) -> list[Path]:
    """Draw all figures that the records have something for.

    Args:
        found: The answer.
        folder: Where they go.

    Returns:
        The files that were drawn.
    """
    makers: dict[str, tuple[bool, Callable[[Path, Answer], None]]] = {
        "intervals.png": (bool(found.comparisons), intervals),
        "costs.png": (any(cost.flops > 0 for cost in found.costs.values()), costs),
        "curves.png": (any(_curves(found, task) for task in found.tasks), curves),
        "conflicts.png": (bool(matrices(found)), conflicts),
    }
    paths = []
    for name, (wanted, make) in makers.items():
        if not wanted:
            (folder / name).unlink(missing_ok=True)  # of other records
        elif drawn(folder / name, make, found):
            paths.append(folder / name)
    return paths


def intervals(path: Path, found: Answer) -> None:
    """Draw the difference of each arm on each task, and over all tasks.

    Args:
        path: The file.
        found: The answer.
    """
    tasks = [*found.tasks, None]
    inches = 0.8 + 0.17 * len(tasks) * (len(found.arms) + 1)
    figure, (axis,) = new_figure(1, len(found.arms), by_step=False, heights=[inches / _ORDINARY])
    styles, smallest = task_styles(found.arms), found.question.smallest
    axis.axvspan(-smallest, smallest, color="#EEEEEE", zorder=0, label=f"±{smallest:g} points: does not matter")
    axis.axvline(0, color=_GREY, linewidth=1)
    for place, arm in enumerate(found.arms):
        shift = 0.8 / len(found.arms) * (place - (len(found.arms) - 1) / 2)
        for row, task in enumerate(tasks):
            _draw_interval(axis, found, (arm, task), row + shift, styles[arm].colour)
        axis.plot([], [], marker="o", color=styles[arm].colour, label=arm)
    axis.set_yticks(range(len(tasks)), [visible(task or "all tasks") for task in tasks], parse_math=False)
    axis.set_ylim(len(tasks) - 0.5, -0.5)
    axis.axhline(len(found.tasks) - 0.5, color=_GREY, linewidth=0.8)
    axis.set_xlabel(f"points against {visible(found.question.reference)}; filled: helps or harms", parse_math=False)
    label_panel(axis, "Difference of test scores, plain 95% intervals", "")
    save(figure, path)


def _draw_interval(axis: "Axes", found: Answer, key: Key, height: float, colour: str) -> None:
    """Draw a difference, filled where it is judged to help or harm, with its interval where that is known."""
    item = found.comparisons[key].evidence
    if math.isnan(item.difference):
        return
    if not math.isnan(item.low):
        axis.plot([item.low, item.high], [height, height], color=colour, linewidth=1.6, marker="|", markersize=7)
    filled = found.verdicts[key].word in ("helps", "harms")
    axis.plot([item.difference], [height], "o", color=colour, markerfacecolor=colour if filled else "white")


def costs(path: Path, found: Answer) -> None:
    """Draw the mean score of each arm against its operations: on validation while training, on test at the end.

    Args:
        path: The file.
        found: The answer.
    """
    figure, (axis,) = new_figure(1, len(found.costs) + 1, by_step=False, heights=[1.4])
    styles = task_styles(list(found.costs))
    for arm, cost in found.costs.items():
        look: dict[str, Any] = {"color": styles[arm].colour, "linestyle": styles[arm].line}
        operations, scores = mean_curve(found, arm)
        axis.plot(operations, scores, marker=".", label=arm, **look)
        mean = found.average(arm)
        if mean is not None and not math.isnan(mean.mean) and cost.flops > 0:
            error = None if math.isnan(mean.low) else [[mean.mean - mean.low], [mean.high - mean.mean]]
            marker = "s" if arm == found.question.reference else "D"
            axis.errorbar([cost.flops], [mean.mean], yerr=error, fmt=marker, color=styles[arm].colour, capsize=3)
    axis.plot([], [], "D", color=_GREY, label="test, 95% interval")
    axis.set_xlabel("floating-point operations of a seed, all of its runs")
    axis.set_xlim(left=0)
    label_panel(axis, "Mean score of the tasks against what it took: validation (lines), then test", "points")
    save(figure, path)


def mean_curve(found: Answer, arm: str) -> tuple[list[float], list[float]]:
    """Return operations of a seed so far, and the mean validation score of the tasks in points, as it goes on.

    Runs of single tasks are taken side by side, each at the same share of its steps.

    Args:
        found: The answer.
        arm: The arm.
    """
    sums: dict[float, list[tuple[float, float]]] = {}
    for trial in found.trials[arm].values():
        lines = [_points(trial, task) for task in found.tasks]
        if not all(lines):
            continue
        # Evaluations of runs of other lengths are at other shares: between two of them lies a straight line.
        first, last = max(line[0][0] for line in lines), min(line[-1][0] for line in lines)
        for share in {share for line in lines for share, _ in line if first <= share <= last}:
            score = float(np.mean([_between(line, share) for line in lines]))
            operations = sum(_operations(record, share) for record in trial.records)
            sums.setdefault(share, []).append((operations, score))
    means = [np.mean(sums[share], axis=0).tolist() for share in sorted(sums)]
    return [mean[0] for mean in means], [mean[1] for mean in means]


def curves(path: Path, found: Answer) -> None:
    """Draw validation scores of each task over the course of the runs.

    Args:
        path: The file.
        found: The answer.
    """
    shown = [task for task in found.tasks if _curves(found, task)]
    columns = columns_of(len(shown))
    figure, axes = new_grid(len(shown), columns)
    styles = task_styles(list(found.costs))
    for axis, task in zip(axes, shown, strict=True):
        for arm, (shares, scores) in _curves(found, task).items():
            look: dict[str, Any] = {"color": styles[arm].colour, "linestyle": styles[arm].line}
            axis.plot(shares, scores, label=arm, marker="o", markersize=3, **look)
        plain_name(axis.set_title(visible(task), loc="left", fontsize=11))
    for axis in axes[-columns:]:
        axis.set_xlabel("% of the arm's own run")
    for axis in axes[::columns]:
        axis.set_ylabel("validation score, points")
    _legend_below(axes)
    save(figure, path)


def _legend_below(axes: Sequence["Axes"]) -> None:
    handles = {label: line for axis in axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure = axes[0].get_figure()
    assert figure is not None
    legend = figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4, frameon=False)
    for text in legend.get_texts():
        plain_name(text)


def _curves(found: Answer, task: str) -> dict[str, tuple[list[float], list[float]]]:
    """Return, by arm, the share of its run in percent and the mean score of its trials, at each evaluation."""
    lines = {}
    for arm, units in found.trials.items():
        points: dict[float, list[float]] = {}
        for trial in units.values():
            for share, score in _points(trial, task):
                points.setdefault(share, []).append(score)
        if len(points) > 1:
            shares = sorted(points)
            lines[arm] = (shares, [float(np.mean(points[share])) for share in shares])
    return lines


def _points(trial: Trial, task: str) -> list[tuple[float, float]]:
    return [
        (share, 100 * point["scores"][task])
        for share, point in _shares(trial.of(task) or {})
        if (point.get("scores") or {}).get(task) is not None
    ]


def _shares(record: Record) -> list[tuple[float, Record]]:
    """Return the evaluations of a run with the share of its steps before each, in percent."""
    curve = record.get("curve") or []
    total = record.get("steps") or max((point.get("step") or 0 for point in curve), default=0)
    return [(round(100 * point["step"] / total, 1), point) for point in curve if total]


def _operations(record: Record, share: float) -> float:
    """Return a run's operations up to a share of its steps, in proportion to steps between two evaluations."""
    known = [(0.0, 0.0), *((at, float(point["flops"])) for at, point in _shares(record) if point.get("flops"))]
    if len(known) == 1:
        known.append((100.0, float(record.get("flops") or 0)))
    return _between(known, share)


def _between(points: Sequence[tuple[float, float]], place: float) -> float:
    """Return the height of a line through points."""
    places, heights = np.array(points, dtype=np.float64).T
    return float(np.interp(place, places, heights))
