import json
import math
from pathlib import Path

import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.evaluation import aggregate, delta_p, lower_is_better

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "metric_avg_delta_p.json").read_text())


def _named(rows):
    return {f"t{i}": {f"m{j}": value for j, value in enumerate(row)} for i, row in enumerate(rows)}


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_average_worst_and_delta_p_equal_the_golden_ones(case):
    scores, baseline, lower = (_named(case["inputs"][key]) for key in ("metrics", "baseline", "lower_is_better"))
    # The golden average counts every metric as one of which more is better.
    tasks = {
        name: Regression(metrics=[{"name": key, "greater_is_better": True} for key in row])
        for name, row in scores.items()
    }
    summary = aggregate(scores, tasks)
    assert summary["average"] == pytest.approx(case["expected"]["avg"], rel=1e-9)
    assert summary["worst"] == pytest.approx(case["expected"]["worst"], rel=1e-9)
    assert summary["macro"] == pytest.approx(sum(row["m0"] for row in scores.values()) / len(scores))
    result = delta_p(scores, baseline, lower)
    assert result.percent == pytest.approx(case["expected"]["delta_p_percent"], rel=1e-9)
    assert result.undefined == ()


TASKS = {
    "stance": SequenceClassification(metrics=["f1_macro", "auroc_macro"]),
    "emobank": Regression(label=["V", "A"], metrics=["mse", "spearman", "pearson"]),
}
SCORES = {
    "stance": {"f1_macro": 0.6, "auroc_macro": 0.8},
    "emobank": {"mse": 9.0, "mse_V": 9.0, "spearman": 0.1, "spearman_V": 0.9, "pearson": 0.5, "pearson_V": 0.7},
}


def test_only_declared_metrics_of_which_more_is_better_count():
    assert aggregate(SCORES, TASKS) == {
        "average": pytest.approx((0.7 + 0.3) / 2),
        "macro": pytest.approx((0.6 + 0.1) / 2),
        "worst": pytest.approx(0.3),
    }


def test_one_undefined_metric_is_left_out_of_its_task():
    scores = SCORES | {"stance": {"f1_macro": 0.6, "auroc_macro": math.nan}}
    summary = aggregate(scores, TASKS)
    assert summary == {"average": pytest.approx(0.45), "macro": pytest.approx(0.35), "worst": pytest.approx(0.3)}


@pytest.mark.parametrize("task", ["stance", "emobank"])
def test_a_task_that_has_diverged_makes_every_summary_nan(task):
    summary = aggregate(SCORES | {task: dict.fromkeys(SCORES[task], math.nan)}, TASKS)
    assert all(math.isnan(value) for value in summary.values())


def test_a_baseline_near_zero_makes_the_improvement_undefined_and_names_the_task():
    lower = {"a": {"m": False}, "b": {"m": True}}
    result = delta_p({"a": {"m": 0.3}, "b": {"m": 0.5}}, {"a": {"m": 9e-4}, "b": {"m": 1.0}}, lower)
    assert math.isnan(result.percent)
    assert result.undefined == ("a",)
    assert result.tasks["b"] == pytest.approx(50.0)


def test_rising_from_a_negative_correlation_is_an_improvement():
    result = delta_p({"a": {"m": 0.1}}, {"a": {"m": -0.2}}, {"a": {"m": False}})
    assert result.percent == pytest.approx(150.0)


def test_directions_come_from_the_tasks():
    assert lower_is_better(TASKS) == {
        "stance": {"f1_macro": False, "auroc_macro": False},
        "emobank": {"mse": True, "spearman": False, "pearson": False},
    }
