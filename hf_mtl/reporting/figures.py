"""Figures of a run: its mixture, and how training went."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hf_mtl.evaluation import available_metrics, greater_is_better
from hf_mtl.reporting.style import label_panel, new_figure, save, task_styles
from hf_mtl.tasks import MetricSpec

Record = Mapping[str, Any]
SUMMARY_LINES = {"average": "-", "macro": "--", "worst": ":"}


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


class Panel(NamedTuple):
    """One panel of the training figure: lines of points by task, and lines that sum the tasks up."""

    title: str
    unit: str
    lines: dict[str, tuple[str, "Points"]]
    summaries: dict[str, "Points"]


class Points(NamedTuple):
    """The steps at which something was logged, and its values; a null is a gap."""

    steps: list[float]
    values: list[float]


def training_figure(path: str | Path, log: Sequence[Record]) -> None:
    """Draw the log of a run: losses, weights and shares of the tasks, what their heads log, and their scores.

    A panel without anything to show is left out. Of each task's scores the first of which more is better is drawn.

    Args:
        path: File to write; its suffix names the format.
        log: Records with ``step`` and any of ``loss/<task>``, ``loss/<task>/kl``, ``tau/<task>``, ``weight/<task>``,
            ``share/<task>``, ``eval_<task>_<metric>``, ``eval_average``, ``eval_macro`` and ``eval_worst``.

    Raises:
        ValueError: If the log holds none of them.
    """
    tasks = log_tasks(log)
    panels = [panel for panel in _panels(log, tasks) if panel.lines or panel.summaries]
    if not panels:
        raise ValueError("the log holds no losses, weights, shares or scores of tasks")
    figure, axes = new_figure(len(panels), len(tasks) + len(SUMMARY_LINES))
    styles = task_styles(tasks)
    for panel, axis in zip(panels, axes, strict=True):
        for task, (label, points) in panel.lines.items():
            style = styles[task]
            axis.plot(
                *points, label=label, color=style.colour, linestyle=style.line, marker=_marker(points), markersize=4
            )
        for label, points in panel.summaries.items():
            axis.plot(
                *points,
                label=label,
                color="black",
                linewidth=2.0,
                linestyle=SUMMARY_LINES[label],
                marker=_marker(points),
                markersize=4,
            )
        label_panel(axis, panel.title, panel.unit)
    save(figure, path)


def log_tasks(log: Sequence[Record]) -> list[str]:
    """Names of the tasks that a log speaks of, in its order."""
    names = (key.split("/")[1] for record in log for key in record if key.startswith(("loss/", "weight/", "share/")))
    return list(dict.fromkeys(names))


def _panels(log: Sequence[Record], tasks: Sequence[str]) -> list[Panel]:
    panels = [
        Panel(title, unit, {task: (task, points) for task in tasks if (points := _points(log, key.format(task)))}, {})
        for key, title, unit in (
            ("loss/{}", "Training loss of each task", "loss"),
            ("loss/{}/kl", "KL divergence of each task's head from its prior", "nats"),
            ("tau/{}", "Variance tau of each task's head", "tau"),
            ("weight/{}", "Weight of each task's loss", "weight"),
            ("coefficient/{}", "Coefficient of each task by the schedules", "coefficient"),
            ("temperature/{}", "Learned temperature of each task", "temperature"),
            ("share/{}", "Share of each task in the rows", "share"),
        )
    ]
    scores = {
        task: (f"{task} ({key.removeprefix(f'eval_{task}_')})", points)
        for task, key in _score_keys(log, tasks).items()
        if (points := _points(log, key))
    }
    summaries = {name: points for name in SUMMARY_LINES if (points := _points(log, f"eval_{name}"))}
    return [*panels, Panel("Scores on validation", "score", scores, summaries)]


def _score_keys(log: Sequence[Record], tasks: Sequence[str]) -> dict[str, str]:
    """The first score of each task of which more is better."""
    worse = [name for name in available_metrics() if not greater_is_better(MetricSpec(name=name))]
    not_scores = ("loss", "runtime", "samples_per_second", "steps_per_second", *worse)
    found: dict[str, str] = {}
    for key in dict.fromkeys(key for record in log for key in record if key.startswith("eval_")):
        # The longest name that fits: a task may be called `emotion` and another `emotion_intensity`.
        task = max((name for name in tasks if key.startswith(f"eval_{name}_")), key=len, default=None)
        if task is not None and not key.removeprefix(f"eval_{task}_").startswith(not_scores):
            found.setdefault(task, key)
    return found


def _points(log: Sequence[Record], key: str) -> Points | None:
    records = [record for record in log if key in record]
    values = [math.nan if record[key] is None else float(record[key]) for record in records]
    return Points([record["step"] for record in records], values) if records else None


def _marker(points: Points) -> str:
    # A line needs two points; a few look better with their places marked.
    return "o" if len(points.steps) <= 20 else ""
