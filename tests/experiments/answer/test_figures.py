"""What figures are made of: curves of runs of different lengths, matrices of cosines, and legends."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hf_mtl.experiments.answer import figures
from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.conflict_figure import matrices
from hf_mtl.experiments.answer.figures import beside, score_range
from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.results import Record
from hf_mtl.experiments.statistics import MeanInterval
from tests.drawn import assert_words_fit, keep_figures
from tests.experiments.answer.records import LIFT, asked, run, study


def test_points_in_one_place_are_moved_apart() -> None:
    moved = beside({"a": 100.0, "b": 100.5, "c": 50.0, "d": 99.8, "e": 0.0, "f": float("nan")})
    assert set(moved) == {"a", "b", "c", "d"}
    assert moved["c"] == 50
    assert moved["b"] - moved["a"] == pytest.approx(moved["d"] - moved["b"])
    assert moved["b"] - moved["a"] > 1.5


def test_cosines_are_means_over_seeds_on_both_sides_of_the_diagonal() -> None:
    records = [run("ew", seed, {"a": 0.5, "b/c": 0.6}, cosines={"a/b/c": 0.1 + 0.2 * seed}) for seed in range(2)]
    found = answer(records, Question("s", ("ew",), "ew", (0, 1)))
    matrix = matrices(found)["ew"]
    assert matrix[0, 1] == matrix[1, 0] == pytest.approx(0.2)
    assert np.isnan(np.diag(matrix)).all()


@pytest.fixture
def labels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the legend of the last figure lists."""
    found: list[str] = []
    monkeypatch.setattr(
        figures, "save", lambda figure, path: found.extend(figure.axes[0].get_legend_handles_labels()[1])
    )
    return found


def test_the_legend_of_costs_lists_what_is_drawn(labels: list[str]) -> None:
    records = study({"ew": LIFT}, seeds=3)
    merged = [
        {**record, "kind": "merged", "arm": "ties", "flops": None, "curve": None}
        for record in records
        if record["arm"] == "ew"
    ]
    question = Question("s", ("single_task", "ew", "ties"), "single_task", (0, 1, 2))
    figures.costs(Path("x"), answer([*records, *merged], question))
    assert labels == [
        *("single_task", "ew"),
        *("test of single_task, 95% interval", "test of the others, 95% interval"),
    ]
    labels.clear()
    figures.costs(Path("x"), answer(records[:5], Question("s", ("ew",), "ew", (0,))))
    assert labels == ["ew", "test of ew"]
    labels.clear()
    without = [record for record in records if record["arm"] != "ew" or record["scores"].pop("test")]
    figures.costs(Path("x"), answer(without, question))
    assert labels == ["single_task", "ew", "test of single_task, 95% interval"]


def test_the_legend_of_intervals_lists_no_arm_without_one(labels: list[str]) -> None:
    records = study({"ew": LIFT}, seeds=3)
    again = [{**record, "arm": "again"} for record in records if record["arm"] == "single_task"]
    question = Question("s", ("single_task", "ew", "again"), "single_task", (0, 1, 2))
    figures.intervals(Path("x"), answer([*records, *again], question))
    assert labels == ["±0.5 points: does not matter", "ew"]


def test_what_was_merged_has_a_test_score_and_no_line_in_the_legend(monkeypatch: pytest.MonkeyPatch) -> None:
    records = study({"ew": LIFT}, seeds=3)
    merged = [{**record, "kind": "merged", "arm": "ties", "curve": None} for record in records if not record["task"]]
    lines: dict[str, str] = {}

    def save(figure: Any, path: Path) -> None:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        lines.update({label: handle.get_linestyle() for label, handle in zip(labels, handles, strict=True)})

    monkeypatch.setattr(figures, "save", save)
    question = Question("s", ("single_task", "ew", "ties"), "single_task", (0, 1, 2))
    figures.costs(Path("x"), answer([*records, *merged], question))
    ties = lines["ties (merged): cost of its single runs"]
    assert (lines["single_task"], lines["ew"], ties) == ("-", "--", "None")


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    return keep_figures(monkeypatch)


def costs_axis(saved: list[Figure], path: Path, records: list[Record], *arms: str) -> Axes:
    question = Question("s", arms, arms[0], (0, 1, 2))
    figures.costs(path / "costs.png", answer(records, question))
    assert_words_fit(saved[-1])
    return saved[-1].axes[0]


def test_the_title_of_costs_speaks_of_lines_where_there_are_some(saved: list[Figure], tmp_path: Path) -> None:
    records = study({"ew": LIFT}, seeds=3)
    assert "(lines)" in costs_axis(saved, tmp_path, records, "single_task", "ew").get_title(loc="left")
    bare = [{**record, "curve": []} for record in records]
    title = costs_axis(saved, tmp_path, bare, "single_task", "ew").get_title(loc="left")
    assert title == "Mean score of the tasks against what it took, on test"


def test_points_of_costs_keep_a_distance_from_the_edges(saved: list[Figure], tmp_path: Path) -> None:
    records = [{**record, "curve": []} for record in study({"ew": LIFT, "uw": LIFT}, seeds=3)]
    axis = costs_axis(saved, tmp_path, records, "single_task", "ew", "uw")
    places = [axis.transAxes.inverted().transform(axis.transData.transform(point)) for point in points_of(axis)]
    assert len(places) == 3
    assert np.min(places) > 0.03
    assert np.max(places) < 0.97


def points_of(axis: Axes) -> list[Any]:
    return [bars.lines[0].get_xydata()[0] for bars in axis.containers]


def mean(value: float, half: float = math.nan) -> MeanInterval:
    return MeanInterval(value, value - half, value + half, 3)


def test_an_interval_wider_than_all_scores_is_cut_and_a_narrow_one_is_not() -> None:
    low, high = score_range([], [mean(85, 27), mean(91, 1), mean(92, 2)])
    assert 70 < low < 80
    assert 94 < high <= 101
    low, high = score_range([], [mean(60, 2), mean(62, 3)])
    assert low < 58
    assert high > 65


def test_the_axis_of_scores_ends_where_scores_do_unless_some_are_larger() -> None:
    assert score_range([], [mean(99, 4)])[1] < 100.5
    assert score_range([99.0, 140.0], [mean(99, 4)])[1] > 140
    low, high = score_range([], [mean(50)])
    assert low < 50 < high


@pytest.mark.parametrize("draw", [figures.intervals, figures.curves, figures.conflicts])
def test_words_fit_into_the_figures_of_two_tasks(draw: Any, saved: list[Figure], tmp_path: Path) -> None:
    tasks = ("sentiment", "similarity_of_sentences")
    cosines = {"cosines": {"/".join(tasks): -0.0003}}
    lift = {"uncertainty_weighting": dict.fromkeys(tasks, 0.1)}
    records = study(lift, seeds=2, tasks=tasks, **cosines)
    draw(tmp_path / "x.png", answer(records, asked("uncertainty_weighting", seeds=2)))
    assert_words_fit(saved[0])
