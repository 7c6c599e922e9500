"""What was drawn: whether its words are all in the picture."""

from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.figure import Figure


def keep_figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Keep every figure that is saved from now on, laid out as it is saved, with an empty file."""
    kept: list[Figure] = []

    def keep(figure: Figure, path: Path, **_: object) -> None:
        figure.draw_without_rendering()
        path.touch()
        kept.append(figure)

    monkeypatch.setattr(Figure, "savefig", keep)
    return kept


def assert_words_fit(figure: Figure) -> None:
    """Check that nothing is cut off at an edge, and that no title of a panel lies on another's."""
    whole, found = figure.bbox, figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    edges = (found.x0, found.y0, whole.x1 - found.x1, whole.y1 - found.y1)
    assert min(edges) > -2, [text.get_text() for text in (figure._suptitle, *map(_title, figure.axes)) if text]
    titles = [_title(axis).get_window_extent() for axis in figure.axes if _title(axis).get_text()]
    assert not any(a.overlaps(b) for a, b in combinations(titles, 2))


def _title(axis):
    return axis._left_title
