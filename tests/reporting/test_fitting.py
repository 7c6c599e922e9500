"""Words that are longer than their room are broken, and a figure grows for its legend."""

import pytest
from matplotlib.figure import Figure

from hf_mtl.reporting.fitting import fit_words
from hf_mtl.reporting.style import colour_bar, label_panel, new_figure, new_grid
from tests.drawn import assert_words_fit

LONG = "a title that is a good deal longer than any panel of this figure is wide, and then some more of it" * 2
NAME = "a_study/" + "runs_without_any_space/" * 8 + "seed-0"


def laid_out(figure: Figure) -> Figure:
    fit_words(figure)
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize("panels", [1, 2, 4])
@pytest.mark.parametrize("words", [LONG, NAME])
def test_titles_and_names_of_axes_are_within_the_figure_for_any_number_of_panels(panels: int, words: str) -> None:
    figure, axes = new_grid(panels, min(panels, 3), shared=False)
    figure.suptitle(words)
    for axis in axes:
        axis.set_xlabel(words[:60])
        label_panel(axis, words[:80], words[:60])
    laid_out(figure)
    assert_words_fit(figure)
    assert "".join(figure.get_suptitle().split()) == "".join(words.split()), "no word is lost"


def test_short_words_are_left_as_they_are() -> None:
    figure, (axis, _) = new_figure(2, 1)
    label_panel(axis, "Training loss of each task", "loss")
    laid_out(figure)
    assert axis.get_title(loc="left") == "Training loss of each task"


def test_a_figure_grows_for_the_names_in_its_legend() -> None:
    figure, (axis,) = new_grid(1, 1)
    axis.plot([0, 1], [0, 1], label=NAME)
    label_panel(axis, "a", "b")
    before = figure.get_figwidth()
    laid_out(figure)
    assert_words_fit(figure)
    assert axis.bbox.width > 0.3 * before * figure.dpi


def test_a_colour_bar_stands_beside_its_matrix_in_a_wide_panel() -> None:
    figure, (axis,) = new_figure(1, 2, by_step=False)
    bar = colour_bar(axis, axis.imshow([[0.0, 1.0], [1.0, 0.0]]), "what")
    laid_out(figure)
    matrix, scale = axis.get_window_extent(), bar.ax.get_window_extent()
    assert 0 < scale.x0 - matrix.x1 < 0.1 * matrix.width
    assert scale.height == pytest.approx(matrix.height)
