"""Early signals, from logs."""

import math
from typing import Any

import pytest

from hf_mtl import SequenceClassification
from hf_mtl.experiments.diagnose.early import correlation, log_signals

TASKS = {name: SequenceClassification(labels=["a", "b"]) for name in ("x", "y")}


def log(evaluations: list[int]) -> list[dict[str, Any]]:
    """A log of 100 steps, whose scores are the steps they are from."""
    losses = [{"step": step, "loss/x": 4.0 - step / 10, "loss/x/kl": 9.0} for step in range(2, 101, 2)]
    scores = [
        {"step": step, "eval_x_f1_macro": step / 100, "eval_y_f1_macro": 0.5, "eval_average": step / 200}
        for step in evaluations
    ]
    return sorted([*losses, *scores], key=lambda record: record["step"])


@pytest.mark.parametrize(
    ("evaluations", "step", "score"),
    [([5, 10, 15, 100], 10, 0.1), ([20, 60, 100], 20, math.nan)],
    ids=["in the first tenth", "later"],
)
def test_the_early_score_is_of_the_first_tenth_or_unknown(evaluations: list[int], step: int, score: float) -> None:
    found = log_signals(log(evaluations), TASKS)
    assert found is not None
    assert found["steps"] == 100
    x, y = found["tasks"]["x"], found["tasks"]["y"]
    assert (x["step"], x["final"]) == (step, 1.0)
    assert x["score"] == pytest.approx(score, nan_ok=True)
    assert x["loss"] == pytest.approx(3.0)  # at step 10
    assert x["fall"] == pytest.approx(1 - 3.0 / 3.8)
    assert math.isnan(y["loss"])
    assert found["together"]["average"] == pytest.approx({"score": score / 2, "final": 0.5}, nan_ok=True)


def test_one_evaluation_says_nothing_early() -> None:
    assert log_signals(log([100]), TASKS) is None
    assert log_signals([], TASKS) is None


def test_an_undefined_score_is_not_a_number() -> None:
    records = [{**record, "eval_x_f1_macro": None} for record in log([10, 100]) if "eval_average" in record]
    found = log_signals(records, TASKS)
    assert found is not None
    assert math.isnan(found["tasks"]["x"]["final"])


def test_a_signal_is_correlated_over_the_points_where_both_numbers_are_known() -> None:
    points = [{"score": value, "final": value**3} for value in (1.0, 2.0, 3.0, 4.0, 5.0)]
    unknown = [{"score": math.nan, "final": 1.0}, {"score": 9.0, "final": math.nan}]
    found = correlation([*points, *unknown], "score")
    assert found["n"] == 5
    assert found["spearman"] == pytest.approx(1)
    assert 0.8 < found["pearson"] < 1
    few = correlation([*points[1:], *unknown], "score")
    assert few["n"] == 4
    assert math.isnan(few["pearson"])
    assert math.isnan(few["spearman"])
