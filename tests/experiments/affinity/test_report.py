import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hf_mtl.experiments.affinity import AffinityMatrix
from hf_mtl.experiments.affinity.measure import Found
from hf_mtl.experiments.affinity.report import affinity_figure, power_of, table, text

World = tuple[Path, Found]
VALUES = np.array([[9.0, 0.002, -0.0304], [0.01, 9.0, 0.0], [0.0301, -0.0009, 9.0]])
MATRIX = AffinityMatrix(("a", "bb", "c"), VALUES, np.full((3, 3), 0.001), "lookahead")


def test_a_table_has_rows_from_and_columns_to_in_one_power_of_ten() -> None:
    assert power_of(MATRIX) == -2
    assert table(MATRIX).splitlines()[2:] == [
        "        a            -   0.20 ± 0.10  -3.04 ± 0.10",
        "       bb  1.00 ± 0.10             -   0.00 ± 0.10",
        "        c  3.01 ± 0.10  -0.09 ± 0.10             -",
    ]
    single = dataclasses.replace(MATRIX, errors=np.full((3, 3), np.nan))
    assert "±" not in table(single)
    assert power_of(dataclasses.replace(MATRIX, values=np.eye(3))) == 0


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


@pytest.mark.parametrize("tasks", [3, 14])
def test_a_figure_is_drawn(tmp_path: Path, tasks: int) -> None:
    random = np.random.default_rng(0)
    names = tuple(f"$task_{number}$" for number in range(tasks))
    affinity_figure(
        tmp_path / "a.png",
        AffinityMatrix(names, random.normal(size=(tasks, tasks)), np.full((tasks, tasks), np.nan), "linearised"),
    )
    assert (tmp_path / "a.png").stat().st_size > 10_000
