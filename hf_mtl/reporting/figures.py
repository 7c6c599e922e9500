"""Figures of a run: its mixture, and how training went."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_mtl.reporting.panels import SUMMARIES, Panel, Points, Record, log_tasks, panels_of
from hf_mtl.reporting.style import label_panel, marks, new_figure, save, task_styles
from hf_mtl.shown import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUMMARY_LINES = dict(zip(SUMMARIES, ("-", "--", ":"), strict=True))
SUMMARY_MARKERS = dict(zip(SUMMARIES, ("s", "D", "v"), strict=True))
"""Hollow, so that those in one place are all seen, and the task's point below them."""
PART_COLOUR = (0.35, 0.35, 0.35)
KEPT_COLOUR = "#999999"


def mixture_figure(
    path: str | Path, steps: np.ndarray, shares: Mapping[str, np.ndarray], passes: Mapping[str, np.ndarray]
) -> None:
    """Draw the mixture over time.

    Args:
        path: File to write; its suffix names the format.
        steps: Optimizer steps [S].
        shares: Share of rows of each task at each step [S], in [0, 1].
        passes: Expected passes over each task so far [S].
    """
    figure, (top, bottom) = new_figure(2, len(shares))
    styles = task_styles(list(shares))
    areas = top.stackplot(
        steps,
        [100 * np.asarray(share) for share in shares.values()],
        labels=list(shares),
        colors=[styles[task].colour for task in shares],
        edgecolor="white",
        linewidth=0.5,
    )
    for area, task in zip(areas, shares, strict=True):
        area.set_hatch(styles[task].hatch)
    top.set_ylim(0, 100)
    label_panel(top, "Share of each task in the rows of a step", "% of rows", upwards=True)
    for task, values in passes.items():
        bottom.plot(steps, values, label=task, color=styles[task].colour, linestyle=styles[task].line)
    bottom.set_ylim(bottom=0)
    bottom.set_xlim(np.min(steps), np.max(steps) if len(steps) > 1 else None)
    label_panel(bottom, "Expected passes over each task so far", "passes")
    save(figure, path)


def training_figure(path: str | Path, log: Sequence[Record], kept: int | None = None) -> None:
    """Draw the log of a run: losses, weights and shares of the tasks, what their heads log, what schedules and
    learned temperatures do, and the scores.

    A panel without anything to show is left out. Of each task's scores the first of which more is better is drawn.
    A line through all panels marks the step whose model was kept.

    Args:
        path: File to write; its suffix names the format.
        log: Records with ``step`` and any of ``loss/<task>``, ``loss/<task>/kl``, ``tau/<task>``, ``weight/<task>``,
            ``coefficient/<task>``, ``temperature/<task>``, ``share/<task>``, ``frozen/<part>``, ``flops``,
            ``eval_<task>_<metric>``, ``eval_average``, ``eval_macro`` and ``eval_worst``.
        kept: The step whose model was kept. None: not known.

    Raises:
        ValueError: If the log holds none of them.
    """
    tasks = log_tasks(log)
    panels = panels_of(log, tasks)
    if not panels:
        raise ValueError("the log holds no losses, weights, shares or scores of tasks")
    heights = [0.15 + 0.2 * len(panel.parts) if panel.parts else 1.0 for panel in panels]
    figure, axes = new_figure(len(panels), len(tasks) + len(SUMMARY_LINES) + 1, heights=heights)
    styles = task_styles(tasks)
    for panel, axis in zip(panels, axes, strict=True):
        _draw_parts(axis, panel.parts)
        for place, (task, (label, points)) in enumerate(panel.lines.items()):
            # Of lines on top of each other the lower ones are wider.
            width = 1.5 + 2.5 * panel.stepped * (1 - (place + 1) / len(panel.lines))
            style = styles[task]
            _draw_line(axis, panel, points, label, color=style.colour, linestyle=style.line, linewidth=width)
        for label, points in panel.summaries.items():
            look = {"color": "black", "linestyle": SUMMARY_LINES.get(label, "-"), "linewidth": 2.0}
            if label in SUMMARY_MARKERS and marks(points.values)["marker"]:
                look |= {"marker": SUMMARY_MARKERS[label], "fillstyle": "none", "markersize": 7}
            _draw_line(axis, panel, points, label, **look)
        _scale(axis, panel)
        if kept is not None:
            # Its name stands once, beside the scores by which it may have been chosen, in the last panel.
            name = f"step {kept:,} is kept" if axis is axes[-1] else None
            axis.axvline(kept, color=KEPT_COLOUR, linewidth=1.2, zorder=1.5, label=name)
        label_panel(axis, panel.title, panel.unit)
    axes[0].set_xlim(left=0)
    save(figure, path)


def _draw_line(axis: "Axes", panel: Panel, points: Points, label: str, **style: Any) -> None:
    """Return a line through points, or, of means over the steps before each record, in steps."""
    if panel.stepped:
        steps, values = [0.0, *points.steps], [points.values[0], *points.values]
        axis.plot(steps, values, label=label, drawstyle="steps-pre", **style)
        return
    axis.plot(*points, label=label, **{**marks(points.values), **style})


def _draw_parts(axis: "Axes", parts: Mapping[str, Points]) -> None:
    """Return a bar for each part of the model, filled while the part is trained."""
    for row, points in enumerate(parts.values()):
        starts = [0.0, *points.steps[:-1]]
        spans = [(start, stop - start) for start, stop in zip(starts, points.steps, strict=True)]
        shades = [(*PART_COLOUR, 1.0 - frozen) for frozen in points.values]
        axis.broken_barh(spans, (row - 0.35, 0.7), facecolors=shades, linewidth=0)
    if parts:
        axis.set_yticks(range(len(parts)), list(map(visible, parts)), parse_math=False)
        axis.set_ylim(len(parts) - 0.5, -0.5)
        axis.grid(False, axis="y")


def _scale(axis: "Axes", panel: Panel) -> None:
    if panel.ticks:
        axis.set_yscale("log")
        axis.set_yticks(panel.ticks, [f"{tick:g}" for tick in panel.ticks])
        axis.minorticks_off()
    if panel.low is not None:
        axis.set_ylim(bottom=panel.low)
