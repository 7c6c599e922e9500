"""Curves of an arm: runs that were looked at after other shares of their steps have one mean all the same."""

import pytest

from hf_mtl.experiments.answer.answer import answer
from hf_mtl.experiments.answer.curve_points import mean_curve, task_curves
from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.results import Record
from tests.experiments.answer.records import run


def curve(steps: list[int], slope: float, level: float) -> dict[str, object]:
    points = [{"step": step, "flops": 10.0 * step, "scores": {"a": level + slope * step}} for step in steps]
    return {"curve": points, "steps": 100, "flops": 1000.0}


def test_runs_of_other_evaluations_have_a_mean_that_does_not_jump() -> None:
    records: list[Record] = [
        run("ew", 0, {"a": 0.5}, **curve([20, 60, 100], 0.001, 0.1)),
        run("ew", 1, {"a": 0.5}, **curve([30, 60, 90], 0.001, 0.5)),
        run("ew", 2, {"a": 0.5}, **curve([50], 0.001, 0.9)),  # a single point is no line
    ]
    found = answer(records, Question("s", ("ew",), "ew", (0, 1, 2)))
    shares, scores = task_curves(found, "a")["ew"]
    assert shares == [30, 60, 90]
    assert scores == pytest.approx([33, 36, 39])
    assert mean_curve(found, "ew") == (pytest.approx([300, 600, 900]), pytest.approx([33, 36, 39]))


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


def test_operations_of_a_seed_are_those_of_all_of_its_folds_as_in_the_table_of_costs() -> None:
    records = [run("ew", 0, {"a": 0.5}, fold=fold, **curve([50, 100], 0.001, 0.1)) for fold in range(3)]
    found = answer(records, Question("s", ("ew",), "ew", (0,), folds=3))
    operations, _ = mean_curve(found, "ew")
    assert operations == pytest.approx([1500, 3000])
    assert operations[-1] == found.costs["ew"].flops
