"""The figure of a sweep: every trial, the best so far, what the keys matter."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from hf_mtl.experiments.sweep import figure as module
from hf_mtl.experiments.sweep.figure import sweep_figure


def record(number: int, value: float | None, state: str = "complete", **more: Any) -> dict[str, Any]:
    stage = "tpe" if number >= 3 else "random"
    return {"kind": "trial", "arm": "uw", "trial": number, "value": value, "state": state, "stage": stage, **more}


RECORDS = [
    record(0, 0.4),
    record(1, 0.3),
    record(2, None, "failed"),
    record(3, 0.6),
    record(4, None, "pruned", last=0.2),
    record(5, 0.5),
]


def found(importance: Any, maximize: bool = True) -> dict[str, Any]:
    arm = {"importance": importance, "default": RECORDS[0]}
    return {"metric": "average", "maximize": maximize, "arms": {"uw": arm}}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    figures: list[Figure] = []
    monkeypatch.setattr(module, "save", lambda figure, path: figures.append(figure))
    return figures


@pytest.mark.parametrize(
    ("maximize", "best"), [(True, [0.4, 0.4, 0.6, 0.6, 0.6]), (False, [0.4, 0.3, 0.3, 0.3, 0.3])]
)
def test_the_best_so_far_follows_the_trials(drawn: list[Figure], maximize: bool, best: list[float]) -> None:
    sweep_figure(Path("x.png"), found(None, maximize), RECORDS, startup=3)
    (axis,) = drawn[0].axes
    lines = {line.get_label(): line for line in axis.get_lines()}
    assert list(lines["uw"].get_ydata()) == best
    assert list(lines["uw"].get_xdata()) == [0, 1, 3, 5, 5]
    assert lines["uw, default"].get_ydata()[0] == 0.4
    assert lines["TPE begins"].get_xdata()[0] == 2.5
    hollow = next(line for line in axis.get_lines() if line.get_fillstyle() == "none")
    assert (hollow.get_xdata()[0], hollow.get_ydata()[0]) == (4, 0.2)
    assert [line.get_xdata()[0] for line in axis.get_lines() if line.get_marker() == "x"] == [2]


def test_importance_has_a_panel_with_the_largest_on_top(drawn: list[Figure]) -> None:
    sweep_figure(Path("x.png"), found({"a": 0.75, "b": 0.25}), RECORDS, startup=3)
    _, bars = drawn[0].axes
    assert [bar.get_width() for bar in bars.patches] == [25.0, 75.0]
    assert [text.get_text() for text in bars.get_yticklabels()] == ["b", "a"]


def test_it_is_written(tmp_path: Path) -> None:
    sweep_figure(tmp_path / "sweep.png", found({"a": 1.0}), RECORDS, startup=3)
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
