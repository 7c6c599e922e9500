"""The figure of a run's task gradients: who agrees with whom, how large they are, and how often they conflict."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_mtl.reporting.style import ORDINARY, colour_bar, label_panel, marks, new_figure, save, task_styles
from hf_mtl.shown import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Record = Mapping[str, Any]
_NUMBERED = 12
"""Up to so many tasks every cosine is written into its cell."""
_CELL = 0.5
"""Inches of a cell that a cosine fits into."""
_TICKS = (-1.0, -0.3, -0.1, 0.0, 0.1, 0.3, 1.0)


def gradient_figure(path: str | Path, log: Sequence[Record]) -> None:
    """Draw the cosines of the tasks' gradients, their norms, and the share of pairs that conflict.

    Args:
        path: File to write; its suffix names the format.
        log: Records with ``step`` and ``gradient_cosine/<task>/<task>``, ``gradient_norm/<task>``, ``conflict_rate``.

    Raises:
        ValueError: If the log holds no cosines.
    """
    tasks, cosines = mean_cosines(log)
    if not tasks:
        raise ValueError("the log holds no cosines of task gradients")
    weighted = any(key.startswith("aggregator_weight/") for record in log for key in record)
    heights = [_matrix_height(len(tasks)), 1.0, 0.8, *([1.0] if weighted else [])]
    figure, axes = new_figure(len(heights), len(tasks), by_step=False, heights=heights)
    matrix, norms, rate, *weights = axes
    _draw_matrix(matrix, tasks, cosines)
    label_panel(matrix, f"Cosine of each pair's gradients, {_measured(log)} (below 0: they conflict)", "")
    _draw_lines(norms, log, tasks, "gradient_norm")
    norms.set_yscale("log")
    label_panel(norms, "Norm of each task's gradient of the shared parameters (those in scope)", "norm")
    steps, values = _points(log, "conflict_rate")
    rate.plot(steps, [100 * value for value in values], color="black", **marks(values))
    rate.set_ylim(0, 100)
    label_panel(rate, "Pairs of tasks whose gradients conflict (cosine below 0)", "% of pairs")
    for panel in weights:
        _draw_lines(panel, log, tasks, "aggregator_weight")
        label_panel(panel, "Weight of each task's gradient in the update", "weight")
    for panel in axes[1:]:
        panel.set_xlim(left=0)
        panel.set_xlabel("optimizer step")
    save(figure, path)


def _matrix_height(tasks: int) -> float:
    """Return the height of the matrix, with the names below it, in those of an ordinary panel."""
    numbered = (_CELL * tasks + 1.2) / ORDINARY if tasks <= _NUMBERED else 0.0
    return max(1.3, 0.14 * tasks, numbered)


def _draw_lines(axis: "Axes", log: Sequence[Record], tasks: Sequence[str], key: str) -> None:
    styles = task_styles(tasks)
    for task in tasks:
        steps, values = _points(log, f"{key}/{task}")
        style = {"color": styles[task].colour, "linestyle": styles[task].line, **marks(values)}
        axis.plot(steps, values, label=task, **style)


def mean_cosines(log: Sequence[Record]) -> tuple[list[str], np.ndarray]:
    """Return the tasks that a log compares, and the mean cosine of each pair over its records [T, T]; nan where
    unknown.
    """
    tasks = list(
        dict.fromkeys(
            key.removeprefix("gradient_norm/") for item in log for key in item if key.startswith("gradient_norm/")
        )
    )
    cosines = np.full((len(tasks), len(tasks)), np.nan)
    np.fill_diagonal(cosines, 1.0)
    for row, first in enumerate(tasks):
        for column, second in enumerate(tasks):
            _, values = _points(log, f"gradient_cosine/{first}/{second}")
            if values:
                cosines[row, column] = cosines[column, row] = np.mean(values)
    return tasks, cosines


def _draw_matrix(axis: "Axes", tasks: Sequence[str], cosines: np.ndarray) -> None:
    from matplotlib.colors import FuncNorm

    # From -1 to 1 in every figure, so that a colour says the same of all runs; by the root, since most cosines are
    # small: gradients have many components.
    colours = FuncNorm((_signed_root, _signed_square), vmin=-1.0, vmax=1.0)
    image = axis.imshow(cosines, cmap="RdBu", norm=colours)
    axis.set_anchor("W")
    names = [visible(task) for task in tasks]
    axis.set_xticks(range(len(tasks)), names, rotation=30, ha="right", parse_math=False)
    axis.set_yticks(range(len(tasks)), names, parse_math=False)
    axis.grid(False)
    for row in range(len(tasks)) if len(tasks) <= _NUMBERED else ():
        for column in range(len(tasks)):
            if not math.isnan(value := cosines[row, column]):
                dark = abs(2 * float(colours(value)) - 1) > 0.6
                colour = "white" if dark else "black"
                axis.text(column, row, cosine_text(value), ha="center", va="center", fontsize=7, color=colour)
    bar = colour_bar(axis, image, "cosine")
    bar.set_ticks(_TICKS, labels=[f"{tick:g}" for tick in _TICKS])
    bar.minorticks_off()


def cosine_text(value: float) -> str:
    """Write a cosine with two digits that count, below 0.001 with one, so that it fits into a cell.

    Most are small, and 0.00 would hide on which side of 0 they are.
    """
    return f"{value:.0e}" if 0 < abs(value) < 0.001 else f"{value:z#.2g}"


def _measured(log: Sequence[Record]) -> str:
    """Say how often and when cosines were measured."""
    steps = sorted({item["step"] for item in log if any(key.startswith("gradient_cosine/") for key in item)})
    if not steps:
        return "of no pair"
    if len(steps) == 1:
        return f"measured once, at step {steps[0]:,}"
    return f"mean of {len(steps):,} measurements at steps {steps[0]:,} to {steps[-1]:,}"


def _signed_root(values: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.sign(values) * np.sqrt(np.abs(values))
    return found


def _signed_square(values: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.sign(values) * np.square(values)
    return found


def _points(log: Sequence[Record], key: str) -> tuple[list[float], list[float]]:
    found = [(item["step"], item[key]) for item in log if item.get(key) is not None]
    return [step for step, _ in found], [value for _, value in found]
