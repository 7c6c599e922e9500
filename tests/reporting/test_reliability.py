import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from hf_mtl.evaluation import reliability_bins
from hf_mtl.reporting import reliability, reliability_figure
from hf_mtl.reporting.style import COLOURS


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved, as objects."""
    saved: list[Figure] = []
    save = reliability.save
    monkeypatch.setattr(reliability, "save", lambda figure, path: (saved.append(figure), save(figure, path)))
    return saved


def _bins(seed: int, bins: int = 15):
    rng = np.random.default_rng(seed)
    return reliability_bins(2 * rng.normal(size=(80, 3)), rng.integers(0, 3, 80), bins)


def test_a_panel_has_the_diagonal_the_points_and_the_shares(tmp_path: Path, drawn: list[Figure]) -> None:
    ew = _bins(0)
    reliability_figure(tmp_path / "r.png", {"emotion": {"EW": ew}})
    (panel,) = drawn[0].axes
    diagonal, line = panel.lines
    np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    filled = ew.count > 0
    np.testing.assert_array_equal(line.get_xydata(), np.stack([ew.confidence[filled], ew.accuracy[filled]], axis=1))
    assert [bar.get_height() for bar in panel.patches] == pytest.approx(ew.count / 80)
    assert panel.get_title(loc="left") == "emotion"
    assert line.get_label() == f"EW (ECE {ew.error:.3f})"
    assert imread(tmp_path / "r.png").std() > 0


def test_bars_of_several_lines_stand_beside_each_other_in_their_bin(tmp_path: Path, drawn: list[Figure]) -> None:
    reliability_figure(tmp_path / "r.png", {"a": {"EW": _bins(0, bins=5), "VIP": _bins(1, bins=5)}})
    bars = sorted(drawn[0].axes[0].patches, key=lambda bar: bar.get_x())
    edges = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
    assert all(right <= left + 1e-9 for (_, right), (left, _) in itertools.pairwise(edges))
    for place, (left, right) in enumerate(edges):
        assert place // 2 / 5 <= left < right <= (place // 2 + 1) / 5


def test_a_label_keeps_its_colour_in_every_panel(tmp_path: Path, drawn: list[Figure]) -> None:
    panels = {"a": {"EW": _bins(0), "VIP": _bins(1)}, "b": {"VIP": _bins(2)}}
    reliability_figure(tmp_path / "r.png", panels)
    first, second = drawn[0].axes
    assert first.lines[2].get_color() == second.lines[1].get_color() == COLOURS[1]


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_every_panel_is_drawn_and_none_is_empty(tmp_path: Path, drawn: list[Figure], count: int) -> None:
    reliability_figure(tmp_path / "r.svg", {f"t{index}": {"EW": _bins(index)} for index in range(count)})
    assert [panel.get_title(loc="left") for panel in drawn[0].axes] == [f"t{index}" for index in range(count)]
    assert (tmp_path / "r.svg").stat().st_size > 0


@pytest.mark.parametrize("panels", [{}, {"a": {}}])
def test_nothing_to_draw_is_refused(tmp_path: Path, panels: dict) -> None:
    with pytest.raises(ValueError, match="no bins"):
        reliability_figure(tmp_path / "r.png", panels)
    assert list(tmp_path.iterdir()) == []
