"""Figures of an answer: intervals by task, scores against cost, learning curves, conflicts."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_mtl.experiments.answer.answer import Answer, Key
from hf_mtl.experiments.answer.arm_styles import ArmStyle, arm_styles
from hf_mtl.experiments.answer.conflict_figure import columns_of, conflicts, matrices
from hf_mtl.experiments.answer.curve_points import mean_curve, task_curves
from hf_mtl.experiments.answer.tables import points
from hf_mtl.experiments.statistics import MeanInterval
from hf_mtl.reporting.drawn import drawn
from hf_mtl.reporting.style import ORDINARY, label_panel, new_figure, new_grid, plain_name, save
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
_APART = 0.02
"""Of the largest cost: points as near as that are moved apart."""
_BESIDE = 5.0
"""Points of an interval that are drawn beside the scores in any case."""
_MARGIN = 0.05
"""Of an axis: what stays free at each end."""


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
        "costs.png": (bool(_lines(found)) or bool(_tests(found)), costs),
        "curves.png": (any(task_curves(found, task) for task in found.tasks), curves),
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
    figure, (axis,) = new_figure(1, len(found.arms), by_step=False, heights=[inches / ORDINARY])
    styles, smallest = arm_styles(found), found.question.smallest
    axis.axvspan(-smallest, smallest, color="#EEEEEE", zorder=0, label=f"±{points(smallest)}: does not matter")
    axis.axvline(0, color=_GREY, linewidth=1)
    for place, arm in enumerate(found.arms):
        shift = 0.8 / len(found.arms) * (place - (len(found.arms) - 1) / 2)
        for row, task in enumerate(tasks):
            _draw_interval(axis, found, (arm, task), row + shift, styles[arm])
        if any(_has_interval(found, (arm, task)) for task in tasks):
            axis.plot([], [], marker=styles[arm].marker, color=styles[arm].colour, label=found.label(arm))
    axis.set_yticks(range(len(tasks)), [visible(task or "all tasks") for task in tasks], parse_math=False)
    axis.set_ylim(len(tasks) - 0.5, -0.5)
    axis.axhline(len(found.tasks) - 0.5, color=_GREY, linewidth=0.8)
    axis.set_xlabel(f"points against {visible(found.question.reference)}; filled: helps or harms", parse_math=False)
    label_panel(axis, "Difference of test scores, plain 95% intervals", "")
    save(figure, path)


def _draw_interval(axis: "Axes", found: Answer, key: Key, height: float, style: ArmStyle) -> None:
    """Draw a difference, filled where it is judged to help or harm, with its interval where that is known."""
    item = found.comparisons[key].evidence
    if not _has_interval(found, key):
        return
    look: dict[str, Any] = {"color": style.colour, "marker": style.marker}
    if not math.isnan(item.low):
        axis.plot(
            [item.low, item.high], [height, height], color=style.colour, linewidth=1.6, marker="|", markersize=7
        )
    filled = found.verdicts[key].word in ("helps", "harms")
    axis.plot([item.difference], [height], linestyle="", markerfacecolor=style.colour if filled else "white", **look)


def _has_interval(found: Answer, key: Key) -> bool:
    item = found.comparisons[key]
    return not (math.isnan(item.evidence.difference) or item.same)


def costs(path: Path, found: Answer) -> None:
    """Draw the mean score of each arm against its operations: on validation while training, on test at the end.

    Args:
        path: The file.
        found: The answer.
    """
    lines, tests = _lines(found), _tests(found)
    drawn_arms = [arm for arm in found.costs if arm in lines or arm in tests]
    figure, (axis,) = new_figure(1, len(drawn_arms) + 2, by_step=False, heights=[1.4])
    styles, reference = arm_styles(found), found.question.reference
    for arm in drawn_arms:
        name = found.label(arm) if found.costs[arm].trained else f"{found.label(arm)}: cost of its single runs"
        if arm in lines:
            axis.plot(*lines[arm], label=name, **styles[arm].of_line())
        else:  # no line, as of what was merged: its test score alone
            point: dict[str, Any] = {"color": styles[arm].colour, "markeredgecolor": "black"}
            axis.plot([], [], _test_marker(found, arm), label=name, **point)
    for arm, (place, mean) in tests.items():
        error = None if math.isnan(mean.low) else [[mean.mean - mean.low], [mean.high - mean.mean]]
        look: dict[str, Any] = {"color": styles[arm].colour, "markeredgecolor": "black", "capsize": 3}
        axis.errorbar([place], [mean.mean], yerr=error, fmt=_test_marker(found, arm), zorder=5, **look)
    names = {_test_marker(found, arm): f"test of {reference if arm == reference else 'the others'}" for arm in tests}
    interval = ", 95% interval" if any(not math.isnan(mean.low) for _, mean in tests.values()) else ""
    for marker, name in names.items():
        axis.plot([], [], marker, color=_GREY, markeredgecolor="black", label=f"{name}{interval}")
    means = [mean for _, mean in tests.values()]
    low, high = score_range([score for _, scores in lines.values() for score in scores], means)
    axis.set_ylim(low, high)
    places = [*(place for place, _ in tests.values()), *(place for line, _ in lines.values() for place in line)]
    axis.set_xlim(0, (1 + 2 * _APART) * max(places))
    axis.xaxis.set_major_formatter("{x:.3g}")  # as in the tables; a power beside the axis would lie on its name
    axis.set_xlabel("floating-point operations of a seed; equal ones are moved apart")
    cut = any(mean.low < low or mean.high > high for mean in means)
    label_panel(axis, _costs_title(bool(lines), bool(tests), cut), "points")
    save(figure, path)


def _costs_title(lines: bool, tests: bool, cut: bool) -> str:
    """Say which scores are drawn, and that intervals reach beyond the picture where they do."""
    said = {(True, True): ": validation (lines), then test", (True, False): ", on validation"}
    which = said.get((lines, tests), ", on test")
    return f"Mean score of the tasks against what it took{which}{'; intervals are cut' if cut else ''}"


def score_range(scores: Sequence[float], means: Sequence[MeanInterval]) -> tuple[float, float]:
    """Return the ends of an axis that shows scores, means, and as much of their intervals as leaves these apart.

    An interval of two seeds may be wider than all that was found, and reach beyond what a score can be.

    Args:
        scores: The points of lines; NaN is a gap.
        means: The means with their intervals, NaN where they are not known.
    """
    known = [score for score in (*scores, *(mean.mean for mean in means)) if not math.isnan(score)]
    least, most = min(known), max(known)
    beside = max(most - least, _BESIDE)
    low = min([least, *(max(mean.low, least - beside) for mean in means if not math.isnan(mean.low))])
    high = max([most, *(min(mean.high, most + beside) for mean in means if not math.isnan(mean.high))])
    high = min(high, 100.0) if most <= 100 else high
    margin = _MARGIN * (high - low) or 1.0
    return low - margin, high + margin


def _lines(found: Answer) -> dict[str, tuple[list[float], list[float]]]:
    """Return the curve of each arm that has one; what was merged has none."""
    lines = {arm: mean_curve(found, arm) for arm in found.costs}
    return {arm: line for arm, line in lines.items() if line[0]}


def _tests(found: Answer) -> dict[str, tuple[float, MeanInterval]]:
    """Return the place on the axis of costs and the mean test score of each arm that has both."""
    places = beside({arm: cost.flops for arm, cost in found.costs.items()})
    means = {arm: found.average(arm) for arm in places}
    return {arm: (places[arm], mean) for arm, mean in means.items() if mean is not None and not math.isnan(mean.mean)}


def _test_marker(found: Answer, arm: str) -> str:
    return "s" if arm == found.question.reference else "D"


def beside(places: Mapping[str, float]) -> dict[str, float]:
    """Move places that lie on each other apart, so that none covers another; unknown ones are left out.

    Args:
        places: The places by name, of which 0 is none.
    """
    known = sorted((place, name) for name, place in places.items() if place > 0)  # not of NaN
    step = _APART * max((place for place, _ in known), default=0.0)
    groups: list[list[tuple[float, str]]] = []
    for place, name in known:
        if groups and place - groups[-1][-1][0] < step:
            groups[-1].append((place, name))
        else:
            groups.append([(place, name)])
    moved: dict[str, float] = {}
    for group in groups:
        middle = sum(place for place, _ in group) / len(group)
        names = [name for name in places if name in {name for _, name in group}]
        moved |= {name: middle + step * (number - (len(names) - 1) / 2) for number, name in enumerate(names)}
    return moved


def curves(path: Path, found: Answer) -> None:
    """Draw validation scores of each task over the course of the runs.

    Args:
        path: The file.
        found: The answer.
    """
    shown = [task for task in found.tasks if task_curves(found, task)]
    columns = columns_of(len(shown))
    figure, axes = new_grid(len(shown), columns)
    styles = arm_styles(found)
    for axis, task in zip(axes, shown, strict=True):
        for arm, (shares, scores) in task_curves(found, task).items():
            axis.plot(shares, scores, label=arm, **styles[arm].of_line())
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
