import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hf_mtl.experiments.affinity import AffinityMatrix
from hf_mtl.experiments.affinity.measure import Found
from hf_mtl.experiments.affinity.report import affinity_figure, decimals_of, table, text
from tests.drawn import assert_words_fit, keep_figures

World = tuple[Path, Found]
VALUES = np.array([[9.0, 0.002, -0.0304], [0.01, 9.0, 0.0], [0.0301, -0.0009, 9.0]])
MATRIX = AffinityMatrix(("a", "bb", "c"), VALUES, np.full((3, 3), 0.001), "lookahead")


def test_a_table_has_rows_from_and_columns_to_in_percent() -> None:
    assert decimals_of(MATRIX) == 2
    assert table(MATRIX).splitlines()[2:] == [
        "        a            -   0.20 ± 0.10  -3.04 ± 0.10",
        "       bb  1.00 ± 0.10             -   0.00 ± 0.10",
        "        c  3.01 ± 0.10  -0.09 ± 0.10             -",
    ]
    single = dataclasses.replace(MATRIX, errors=np.full((3, 3), np.nan))
    assert "±" not in table(single)
    assert decimals_of(dataclasses.replace(MATRIX, values=np.eye(3))) == 0
    assert decimals_of(dataclasses.replace(MATRIX, values=VALUES / 1000)) == 5


def test_the_text_says_what_was_looked_at_what_is_clear_and_what_it_cost(affinity_world: World) -> None:
    found = dataclasses.replace(affinity_world[1], affinity=MATRIX, groups=[["a", "c"], ["bb"]])
    said = text(found)
    assert "3 of 6 are more than two of these from 0." in said
    assert "Proposal: {a, c}, {bb}" in said
    assert "a joint run of 4 steps that was trained for this" in said
    assert "of one training run of the recipe" in said
    assert "no measured gain" in said
    for ridge in (10.0, 100.0):
        told = text(dataclasses.replace(found, details={"ridge": ridge}))
        assert ("The rows teach little" in told) == (ridge == 100)
    given = dataclasses.replace(found.joint, trained_here=False, flops=None)
    assert "is unknown, as the joint run has no log" in text(
        dataclasses.replace(found, joint=given, recipe_flops=None)
    )


def test_a_proposal_says_what_it_rests_on_and_whether_that_is_told_apart(affinity_world: World) -> None:
    found = dataclasses.replace(affinity_world[1], affinity=MATRIX, groups=[["a", "c"], ["bb"]], together=-0.0123)
    clear = text(dataclasses.replace(found, value=0.012, value_error=0.002))
    assert "value in %: 1.20 ± 0.20; one group of all -1.23, every task alone 0" in clear
    assert "0 of the 2 affinities that it rests on are within two standard errors of 0." in clear
    assert "not told apart" not in clear
    vague = text(dataclasses.replace(found, groups=[["bb", "c"], ["a"]], value=0.001, value_error=0.002))
    assert "2 of the 2 affinities that it rests on" in vague
    assert "not told apart from every task alone: its value is within two standard errors of 0." in vague
    assert "its error is unknown" in text(dataclasses.replace(found, value_error=float("nan")))
    alone = text(dataclasses.replace(found, groups=[["a"], ["bb"], ["c"]], value=0.0, value_error=0.0))
    assert "rests on" not in alone


def test_words_fit_into_the_figure_of_two_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = keep_figures(monkeypatch)
    two = AffinityMatrix(("sentiment", "similarity"), VALUES[:2, :2], np.full((2, 2), 0.001), "linearised")
    affinity_figure(tmp_path / "a.png", two)
    assert_words_fit(saved[0])


@pytest.mark.parametrize("tasks", [3, 14])
def test_a_figure_is_drawn(tmp_path: Path, tasks: int) -> None:
    random = np.random.default_rng(0)
    names = tuple(f"$task_{number}$" for number in range(tasks))
    affinity_figure(
        tmp_path / "a.png",
        AffinityMatrix(names, random.normal(size=(tasks, tasks)), np.full((tasks, tasks), np.nan), "linearised"),
    )
    assert (tmp_path / "a.png").stat().st_size > 10_000
