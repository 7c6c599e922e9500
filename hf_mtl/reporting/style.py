"""Look of our figures: colours that colour-blind readers can tell apart, and where legends go."""

import math
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hf_mtl.reporting.atomic import replacing
from hf_mtl.reporting.fitting import fit_words
from hf_mtl.reporting.short_names import shorten_names
from hf_mtl.shown import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

# Okabe and Ito 2008, without yellow (too light for a line on white) and black (kept for summaries).
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F")
LINES = ("-", "--", ":", "-.")
HATCHES = ("", "///", "...", "xxx")
ORDINARY = 2.5
"""Inches that a panel is high, unless its legend asks for more."""
_FEW = 20
"""Up to so many points of a line look better with their places marked."""


class TaskStyle(NamedTuple):
    """Look of a task, the same in every panel."""

    colour: str
    line: str
    hatch: str


def task_styles(tasks: Sequence[str]) -> dict[str, TaskStyle]:
    """Return a style for each task; line and hatch change once the colours are used up."""
    styles = [
        TaskStyle(colour, line, hatch) for line, hatch in zip(LINES, HATCHES, strict=True) for colour in COLOURS
    ]
    return dict(zip(tasks, cycle(styles), strict=False))


def new_figure(
    panels: int, entries: int, by_step: bool = True, heights: Sequence[float] | None = None
) -> "tuple[Figure, list[Axes]]":
    """Return a figure of panels below each other.

    Args:
        panels: Number of panels.
        entries: Lines of the longest legend, for which a panel must be high enough.
        by_step: The panels share their horizontal axis, the optimizer steps; otherwise each has its own.
        heights: Height of each panel, in those of an ordinary one. None: all are ordinary.
    """
    heights = [1.0] * panels if heights is None else heights
    figure = _blank(9.0, 0.6 + sum(heights) * max(ORDINARY, 0.4 + 0.2 * entries))
    axes = list(figure.subplots(panels, 1, sharex=by_step, squeeze=False, height_ratios=heights)[:, 0])
    for panel in axes:
        _plain(panel)
    if by_step:
        axes[-1].set_xlabel("optimizer step")
    return figure, axes


def new_grid(panels: int, columns: int, shared: bool = True) -> "tuple[Figure, list[Axes]]":
    """Return a figure of square panels in rows; the last row may be shorter.

    Args:
        panels: Number of panels.
        columns: Panels of a full row.
        shared: The panels share both axes; otherwise each has its own.
    """
    rows = math.ceil(panels / columns)
    figure = _blank(0.6 + 3.4 * columns, 0.6 + 3.5 * rows)
    axes = list(figure.subplots(rows, columns, sharex=shared, sharey=shared, squeeze=False).flat)
    for panel in axes:
        _plain(panel)
    for panel in axes[panels:]:
        panel.remove()
    for panel in axes[max(0, panels - columns) : panels]:
        panel.tick_params(labelbottom=True)  # also where the row below is shorter
    return figure, axes[:panels]


def _blank(width: float, height: float) -> "Figure":
    """Return a figure of a size in inches, ready to be saved."""
    # matplotlib takes a second to import. Figure, not pyplot: no global state and no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _plain(panel: "Axes") -> None:
    panel.grid(True, color="#DDDDDD", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def label_panel(panel: "Axes", title: str, unit: str, upwards: bool = False) -> None:
    """Give a panel its title, its unit and, outside on the right, its legend, if anything in it has a name.

    Args:
        panel: The panel, already drawn.
        title: What it shows.
        unit: Of its vertical axis.
        upwards: Read the legend from below, as areas are stacked.
    """
    plain_name(panel.set_title(title, loc="left", fontsize=11))
    panel.set_ylabel(unit)
    if not panel.get_legend_handles_labels()[0]:
        return
    legend = panel.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0.0,
        frameon=False,
        fontsize=9,
        handlelength=2.8,
        reverse=upwards,
    )
    for text in legend.get_texts():
        plain_name(text)


def colour_bar(panel: "Axes", image: "AxesImage", name: str = "") -> "Colorbar":
    """Put the scale of a matrix right beside it, as high as it is, whatever room the panel has.

    Args:
        panel: The panel of the matrix.
        image: The matrix.
        name: What the colours say.
    """
    place = panel.inset_axes((1.03, 0.0, 0.05, 1.0))
    return panel.figure.colorbar(image, cax=place, label=name)


def marks(values: Sequence[float]) -> dict[str, Any]:
    """Mark the places of a line's points where they are few, or where one has no neighbour.

    A line needs two points beside each other: without marks the one sample of a short run could not be seen.
    """
    few = len(values) <= _FEW
    marked = few or any(map(math.isnan, values))
    return {"marker": "o" if marked else "", "markersize": 4 if few else 2.5}


def plain_name(text: "Text") -> None:
    """Draw a text as it is written, on one line: dollars in a name are no formula."""
    text.set_parse_math(False)
    text.set_text(visible(text.get_text()))


def save(figure: "Figure", path: str | Path) -> None:
    """Write a figure, whole or not at all; the suffix says in what format. A PNG says who drew it."""
    shorten_names(figure)
    fit_words(figure)
    drawn_by = {"Software": "hf_mtl"} if Path(path).suffix == ".png" else None
    with replacing(path) as temporary:
        figure.savefig(temporary, metadata=drawn_by)


def is_drawn(path: Path) -> bool:
    """Tell whether a PNG was drawn by `save`, so that it may be drawn anew."""
    with path.open("rb") as file:
        return b"tEXtSoftware\0hf_mtl" in file.read(1000)
