"""Reliability diagrams: the share of right predictions by how sure the model is."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hf_mtl.evaluation import ReliabilityBins
from hf_mtl.reporting.style import TaskStyle, new_grid, plain_name, save, task_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3


def reliability_figure(path: str | Path, panels: Mapping[str, Mapping[str, ReliabilityBins]]) -> None:
    """Draw accuracy against confidence; a calibrated model is on the diagonal, an overconfident one below it.

    A point is a bin, at its rows' mean confidence; it is larger, and its faint bar higher, the more of the rows the
    bin holds. The legend gives the expected calibration error. A label has the same colour in every panel.

    Source: DeGroot and Fienberg 1983; Guo et al., ICML 2017, arXiv:1706.04599, Figure 1.

    Args:
        path: File to write; its suffix names the format.
        panels: Bins (see `hf_mtl.evaluation.reliability_bins`) by title of the panel and label of the line.

    Raises:
        ValueError: If there is nothing to draw.
    """
    labels = list(dict.fromkeys(label for lines in panels.values() for label in lines))
    if not labels:
        raise ValueError("there are no bins to draw")
    styles = task_styles(labels)
    figure, axes = new_grid(len(panels), min(_COLUMNS, len(panels)))
    for axis, (title, lines) in zip(axes, panels.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=(0, (4, 4)))
        for place, (label, bins) in enumerate(lines.items()):
            _draw(axis, bins, label, styles[label], (place, len(lines)))
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1)
        axis.set_aspect("equal")
        legend = axis.legend(loc="upper left", frameon=False, fontsize=8, handlelength=2.0)
        for text in (axis.set_title(title, loc="left", fontsize=11), *legend.get_texts()):
            plain_name(text)
    figure.supxlabel("confidence", fontsize=10)
    figure.supylabel("accuracy (lines), share of rows (bars)", fontsize=10)
    save(figure, path)


def _draw(axis: "Axes", bins: ReliabilityBins, label: str, style: TaskStyle, place: tuple[int, int]) -> None:
    """Draw one line with its bars, which stand beside those of the other lines."""
    number, of = place
    width = 1 / len(bins.count)
    left = width * (np.arange(len(bins.count)) + 0.1 + 0.8 * number / of)
    share = bins.count / bins.count.sum()
    axis.bar(left, share, 0.8 * width / of, align="edge", color=style.colour, alpha=0.25, linewidth=0)
    filled = bins.count > 0
    points = bins.confidence[filled], bins.accuracy[filled]
    name = f"{label} (ECE {bins.error:.3f})"
    axis.plot(*points, label=name, color=style.colour, linestyle=style.line, linewidth=1.2, clip_on=False)
    # A bin of a few rows is mostly noise, and should look like less than a bin of many.
    axis.scatter(*points, s=4 + 100 * share[filled], color=style.colour, linewidth=0, zorder=3, clip_on=False)
