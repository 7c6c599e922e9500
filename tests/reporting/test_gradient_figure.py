"""The figure of the tasks' gradients."""

from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hf_mtl.reporting import gradient_figure as figure
from hf_mtl.reporting.gradient_figure import cosine_text, gradient_figure, mean_cosines
from tests.drawn import assert_words_fit, keep_figures

LOG = [
    {"step": 10, "gradient_norm/a": 1.0, "gradient_norm/b": 2.0, "gradient_cosine/a/b": -0.5, "conflict_rate": 1.0},
    {"step": 20, "gradient_norm/a": 1.0, "gradient_norm/b": 2.0, "gradient_cosine/a/b": 0.1, "conflict_rate": 0.0},
]


def test_the_matrix_holds_each_pairs_mean_over_the_run() -> None:
    tasks, cosines = mean_cosines([*LOG, {"step": 30, "gradient_norm/c": 1.0}])
    assert tasks == ["a", "b", "c"]
    np.testing.assert_allclose(cosines[:2, :2], [[1.0, -0.2], [-0.2, 1.0]])
    assert np.isnan(cosines[0, 2])


def test_it_is_drawn_with_and_without_weights(tmp_path: Path) -> None:
    gradient_figure(tmp_path / "plain.png", LOG)
    weighted = [{**record, "aggregator_weight/a": 0.3, "aggregator_weight/b": 0.7} for record in LOG]
    gradient_figure(tmp_path / "weighted.png", weighted)
    sizes = [Image.open(tmp_path / name).size for name in ("plain.png", "weighted.png")]
    assert sizes[1][1] > sizes[0][1], "one more panel"


def test_a_colour_means_the_same_cosine_in_every_run_and_none_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(figure, "save", lambda made, path: drawn.append(made))
    for cosine in (0.02, -0.6):
        gradient_figure(tmp_path / "x.png", [{**LOG[0], "gradient_cosine/a/b": cosine}])
    norms = [made.axes[0].images[0].norm for made in drawn]
    values = np.array([-1.0, -0.6, -0.1, -0.02, 0.0, 0.02, 0.1, 0.6, 1.0])
    np.testing.assert_array_equal(norms[0](values), norms[1](values))
    shades = norms[0](values)
    assert np.diff(shades).min() > 0.05, "all of them can be told apart"
    np.testing.assert_allclose(shades[[0, 4, 8]], [0.0, 0.5, 1.0])


def test_the_only_sample_of_a_short_run_can_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(figure, "save", lambda made, path: drawn.append(made))
    gradient_figure(tmp_path / "x.png", LOG[:1])
    lines = [line for panel in drawn[0].axes for line in panel.lines]
    assert [line.get_marker() for line in lines if len(line.get_xdata())] == ["o"] * 3, "two norms and the rate"


@pytest.mark.parametrize(
    ("log", "said"),
    [(LOG[:1], "measured once, at step 10 "), (LOG, "mean of 2 measurements at steps 10 to 20 ")],
)
def test_the_title_says_how_often_cosines_were_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: list[dict[str, float]], said: str
) -> None:
    drawn = keep_figures(monkeypatch)
    gradient_figure(tmp_path / "x.png", [*log, {"step": 30, "loss/a": 1.0}])
    assert_words_fit(drawn[0])
    assert said in drawn[0].axes[0].get_title(loc="left")


@pytest.mark.parametrize(
    ("value", "said"),
    [(-0.0027, "-0.0027"), (-0.00014, "-1e-04"), (0.384, "0.38"), (-0.5, "-0.50"), (1.0, "1.0"), (-0.0, "0.0")],
)
def test_a_cosine_shows_on_which_side_of_0_it_is(value: float, said: str) -> None:
    assert cosine_text(value) == said


@pytest.mark.parametrize("count", [3, 12])
def test_no_cosine_lies_on_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    drawn = keep_figures(monkeypatch)
    names = [f"a_task_{number}" for number in range(count)]
    pairs = {f"gradient_cosine/{a}/{b}": -0.0027 for a, b in combinations(names, 2)}
    gradient_figure(tmp_path / "x.png", [{"step": 1, **pairs, **{f"gradient_norm/{name}": 1.0 for name in names}}])
    row = [text for text in drawn[0].axes[0].texts if text.get_position()[1] == 0]
    boxes = [text.get_window_extent() for text in row]
    assert len(boxes) == count
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_a_log_without_cosines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no cosines"):
        gradient_figure(tmp_path / "none.png", [{"step": 1, "loss/a": 1.0}])
    assert not (tmp_path / "none.png").exists()


def test_names_with_dollars_are_drawn_as_they_are_written(tmp_path):
    names = ("a$b$$", "$\\frac\n")
    cosine = {f"gradient_cosine/{first}/{second}": 0.1 for first in names for second in names}
    norms = {f"gradient_norm/{name}": 1.0 for name in names}
    gradient_figure(tmp_path / "gradients.png", [{"step": 1, **cosine, **norms, "conflict_rate": 0.5}])
    assert (tmp_path / "gradients.png").exists()
