"""What figures are made of: curves of runs of different lengths, and matrices of cosines."""

import numpy as np
import pytest

from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.conflict_figure import matrices
from hf_mtl.experiments.answer.figures import mean_curve
from hf_mtl.experiments.answer.question import Question
from tests.experiments.answer.records import run


def test_runs_of_single_tasks_are_taken_side_by_side() -> None:
    def curve(task: str, steps: list[int], total: int) -> dict[str, object]:
        points = [{"step": step, "flops": 10.0 * step, "scores": {task: step / total}} for step in steps]
        return {"curve": points, "steps": total, "flops": 10.0 * total}

    records = [
        run("single_task", 0, {"a": 0.5}, "a", **curve("a", [20, 40], 40)),
        run("single_task", 0, {"b": 0.5}, "b", **curve("b", [30, 60, 80], 80)),
    ]
    found = answer(records, Question("s", ("single_task",), "single_task", (0,)))
    operations, scores = mean_curve(found, "single_task")
    assert scores == pytest.approx([50, 75, 100])
    assert operations == pytest.approx([600, 900, 1200])


def test_cosines_are_means_over_seeds_on_both_sides_of_the_diagonal() -> None:
    records = [run("ew", seed, {"a": 0.5, "b/c": 0.6}, cosines={"a/b/c": 0.1 + 0.2 * seed}) for seed in range(2)]
    found = answer(records, Question("s", ("ew",), "ew", (0, 1)))
    matrix = matrices(found)["ew"]
    assert matrix[0, 1] == matrix[1, 0] == pytest.approx(0.2)
    assert np.isnan(np.diag(matrix)).all()
