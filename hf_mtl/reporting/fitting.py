"""Fit the words of a figure into it: what is longer than its room is broken into lines."""

import textwrap
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from hf_mtl.reporting.short_names import tick_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Text

_SPACE = 6
"""Pixels that stay free beside a text."""
_FEWEST = 8
"""Letters of a line, however little room there is."""
_NAMES = 0.6
"""Inches of names of ticks that every figure has room for."""
_PASSES = 3
"""Each line more makes the panels smaller, and with them the room of other words."""


class _Box(NamedTuple):
    """Edges in pixels."""

    left: float
    bottom: float
    right: float
    top: float


def fit_words(figure: "Figure") -> None:
    """Break titles and names of axes that would leave the figure or reach into the next panel.

    matplotlib gives them no room of their own: it cuts them off at the edge. A legend and the names of ticks have
    room, which is taken from the panels; for long ones the figure grows.

    Args:
        figure: The figure, complete.
    """
    _grow_for_legends(figure)
    _grow_for_ticks(figure)
    words: dict[Text, str] = {}
    for _ in range(0 if _all_short(figure) else _PASSES):
        _lay_out(figure)
        long = [(text, room) for text, room in _rooms(figure) if text.get_text() and _length(text) > room]
        for text, room in long:
            _break(text, words.setdefault(text, text.get_text()), room)
        if not long:
            break


def _lay_out(figure: "Figure") -> None:
    """Give the panels their places; where a long title leaves them none, they get some once it is broken."""
    if (layout := figure.get_layout_engine()) is not None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="constrained_layout not applied")
            layout.execute(figure)


def _all_short(figure: "Figure") -> bool:
    """Tell whether all words surely fit, which spares the layout: it takes as long as drawing the rest.

    They are where none is longer than half of its panel, before names of ticks and a legend make that smaller.
    """
    lengths = [(text, min(figure.bbox.size)) for text in _texts(figure, "_suptitle", "_supxlabel", "_supylabel")]
    for panel in figure.axes:
        lengths += [(text, panel.bbox.width) for text in (*_texts(panel, "_left_title"), panel.xaxis.label)]
        lengths.append((panel.yaxis.label, panel.bbox.height))
    return all(_length(text) < room / 2 for text, room in lengths if text.get_text())


def _rooms(figure: "Figure") -> "Iterator[tuple[Text, float]]":
    """Give the words that have no room of their own, each with the pixels that it may be long."""
    for panel in [axis for axis in figure.axes if axis.get_subplotspec() is not None]:
        room, box = _room(panel), panel.get_window_extent()
        yield from ((title, room.right - box.x0 - _SPACE) for title in _texts(panel, "_left_title"))
        yield panel.xaxis.label, _around((box.x0 + box.x1) / 2, room.left, room.right)
        yield panel.yaxis.label, _around((box.y0 + box.y1) / 2, room.bottom, room.top)
    yield from ((text, figure.bbox.width - _SPACE) for text in _texts(figure, "_suptitle", "_supxlabel"))
    yield from ((text, figure.bbox.height - _SPACE) for text in _texts(figure, "_supylabel"))


def _texts(owner: "Figure | Axes", *names: str) -> "list[Text]":
    """Return texts of a figure or a panel, for which matplotlib has no public name."""
    return [text for name in names if (text := getattr(owner, name, None)) is not None]


def _grow_for_legends(figure: "Figure") -> None:
    """Leave the panels half of the width that the figure was made with, and a legend below them its own width."""
    legends = [legend for axis in figure.axes if (legend := axis.get_legend()) is not None]
    outside = [legend for legend in legends if legend.get_bbox_to_anchor().x0 > legend.axes.bbox.x1]
    widest = max((legend.get_window_extent().width for legend in outside), default=0.0)
    below = max((legend.get_window_extent().width for legend in figure.legends), default=0.0)
    lacking = max(widest - figure.bbox.width / 2, below + _SPACE - figure.bbox.width)
    if lacking > 0:
        figure.set_figwidth(figure.get_figwidth() + lacking / figure.dpi)


def _grow_for_ticks(figure: "Figure") -> None:
    """Keep the panels as large as they are beside short names of ticks."""
    beside: dict[int, float] = {}
    below: dict[int, float] = {}
    for panel in figure.axes:
        if (place := panel.get_subplotspec()) is not None:
            column, row = place.colspan.start, place.rowspan.start
            # Slanted names below a panel reach out on its left.
            wide = max(_longest(axis, "width") for axis in (panel.xaxis, panel.yaxis))
            beside[column] = max(beside.get(column, 0.0), wide)
            below[row] = max(below.get(row, 0.0), _longest(panel.xaxis, "height"))
    wider, higher = (sum(max(0.0, one / figure.dpi - _NAMES) for one in each.values()) for each in (beside, below))
    if wider or higher:
        width, height = figure.get_size_inches()
        figure.set_size_inches(width + wider, height + higher)


def _longest(axis: "Axis", side: str) -> float:
    """Return how far the names of ticks reach, 0 where these have no names."""
    if not tick_names(axis):
        return 0.0
    return max((float(getattr(text.get_window_extent(), side)) for text in axis.get_ticklabels()), default=0.0)


def _room(panel: "Axes") -> _Box:
    """Return the space of a panel, up to the panels and colour bars beside it or the edges of the figure."""
    whole, own = panel.figure.bbox, panel.get_subplotspec()
    assert own is not None
    left, bottom, right, top = whole.x0, whole.y0, whole.x1, whole.y1
    for other in panel.figure.axes:
        spec, box = other.get_subplotspec(), other.get_tightbbox(for_layout_only=True)
        if box is None:
            continue
        if spec is None:  # a colour bar of all panels, right of them
            right = min(right, box.x0) if other.bbox.x0 > panel.bbox.x1 else right
            continue
        if spec.rowspan.start == own.rowspan.start:
            left = max(left, box.x1) if spec.colspan.start < own.colspan.start else left
            right = min(right, box.x0) if spec.colspan.start > own.colspan.start else right
        if spec.colspan.start == own.colspan.start:
            bottom = max(bottom, box.y1) if spec.rowspan.start > own.rowspan.start else bottom
            top = min(top, box.y0) if spec.rowspan.start < own.rowspan.start else top
    return _Box(left, bottom, right, top)


def _around(middle: float, low: float, high: float) -> float:
    return 2 * min(middle - low, high - middle) - _SPACE


def _break(text: "Text", words: str, room: float) -> None:
    """Break a text into as few lines as fit, also within a word: names of runs hold no space."""
    letters = max(map(len, text.get_text().split("\n")))
    while letters > _FEWEST and _length(text) > room:
        letters = max(_FEWEST, min(letters - 1, int(letters * room / _length(text)) + 1))
        text.set_text(textwrap.fill(words, letters))


def _length(text: "Text") -> float:
    box = text.get_window_extent()
    return float(box.height if text.get_rotation() == 90 else box.width)
