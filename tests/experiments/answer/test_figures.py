"""What figures are made of: curves of runs of different lengths, matrices of cosines, and legends."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_mtl.experiments.answer import figures
from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.conflict_figure import matrices
from hf_mtl.experiments.answer.figures import beside
from hf_mtl.experiments.answer.question import Question
from tests.experiments.answer.records import LIFT, run, study


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
    assert (lines["single_task"], lines["ew"], lines["ties (merged)"]) == ("-", "--", "None")
