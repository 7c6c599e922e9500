"""What figures are made of: curves of runs of different lengths, and matrices of cosines."""

import numpy as np
import pytest

from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.conflict_figure import matrices
from hf_mtl.experiments.answer.figures import beside
from hf_mtl.experiments.answer.question import Question
from tests.experiments.answer.records import run


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
