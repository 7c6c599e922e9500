from typing import ClassVar

import pytest

from hf_mtl import MultiLabelClassification, Regression, SequenceClassification
from hf_mtl.evaluation import check_metrics

STANCE = ["none", "against", "favor"]


@pytest.mark.parametrize(
    "task",
    [
        SequenceClassification(labels=STANCE),
        SequenceClassification(labels=STANCE, metrics=[{"name": "f1", "labels": ["against", 2]}]),
        SequenceClassification(labels=2, metrics=["f1"]),
        SequenceClassification(metrics=[{"name": "f1", "labels": ["not", "known", "yet"]}]),
        SequenceClassification(metrics=[{"name": "someone/metric", "greater_is_better": True}]),
        Regression(metrics=["mse_z", "pearson"]),
        Regression(weight="w", weighted_metrics=True, metrics=["mse_z", "pearson"]),
        Regression(weight="w", metrics=["spearman"]),
        Regression(label=["x", "y"], metrics=["mse_z", "mse", "pearson"]),
        Regression(
            metrics=["pearson", *({"name": name, "greater_is_better": False} for name in ("mase", "mape", "smape"))]
        ),
        Regression(metrics=[{"name": name, "greater_is_better": True} for name in ("pearsonr", "spearmanr")]),
    ],
)
def test_good_metrics_are_not_complained_about(task):
    assert check_metrics({"stance": task}) == []


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (SequenceClassification(metrics=["f1_marco"]), "unknown metric 'f1_marco'. Known: accuracy"),
        (SequenceClassification(metrics=["f1_marco"]), "Did you mean 'f1_macro'?"),
        (
            Regression(weight="w", weighted_metrics=True, metrics=["pearson", "spearman"]),
            "'spearman' takes no weights, and weighted_metrics is true",
        ),
        (
            Regression(weight="w", weighted_metrics=True, metrics=[{"name": "pearsonr", "greater_is_better": True}]),
            "'pearsonr' takes no weights, and weighted_metrics is true",
        ),
        (
            MultiLabelClassification(labels=2, weight="w", weighted_metrics=True, thresholds="tuned"),
            "thresholds: tuned beside weighted_metrics: true",
        ),
        (
            SequenceClassification(metrics=[{"name": "f1_marco", "greater_is_better": True}]),
            "Did you mean 'f1_macro'?",
        ),
        (
            SequenceClassification(labels=STANCE, metrics=[{"name": "f1", "labels": ["favor", 0, 2]}]),
            "f1: the class 'favor' twice",
        ),
        (Regression(label=["z", "y"], metrics=["mse", "mse_z", "r2"]), "2 scores are called 'mse_z'"),
        (SequenceClassification(metrics=["accuracy", "pearson"]), "'pearson' cannot score a task of type sequence_"),
        (Regression(metrics=["mse"]), "no metric of which more is better, found: mse. The task's score needs one"),
        (Regression(metrics=[]), "found: none"),
        (Regression(metrics=["pearson", "mse_z"], standardize=False), "mse_z with standardize: false"),
        (Regression(metrics=["pearson", "pearson"]), "the same metric twice"),
        (Regression(metrics=["pearson", {"name": "mse", "greater_is_better": True}]), "Here less is better"),
        (SequenceClassification(metrics=[{"name": "accuracy", "labels": [1]}]), "Only f1 takes labels"),
        (SequenceClassification(labels=STANCE, metrics=["f1"]), "f1 without labels, and 3 classes"),
        (SequenceClassification(labels=2, metrics=[{"name": "f1", "labels": []}]), "empty list"),
        (
            SequenceClassification(labels=2, metrics=[{"name": "f1", "labels": [2]}]),
            "class id 2. Class ids go from 0",
        ),
        (
            SequenceClassification(labels=STANCE, metrics=[{"name": "f1", "labels": ["againts"]}]),
            "unknown class 'againts'. Classes: against, favor, none. Did you mean 'against'?",
        ),
    ],
)
def test_each_mistake_is_said_once_with_its_key_and_remedy(task, said):
    (mistake,) = check_metrics({"stance": task})
    assert mistake.key == "tasks.stance.metrics"
    assert said in str(mistake)


def test_mistakes_of_all_tasks_come_together():
    tasks = {"a": Regression(metrics=["mse"]), "b": SequenceClassification(metrics=["f1_marco", "pearson"])}
    assert [mistake.key for mistake in check_metrics(tasks)] == ["tasks.a.metrics", *["tasks.b.metrics"] * 2]


def test_scores_of_two_tasks_cannot_share_a_name():
    tasks = {"a": Regression(label=["pearson", "y"]), "a_pearson": Regression()}
    (mistake,) = check_metrics(tasks)
    assert str(mistake) == (
        "tasks.a_pearson: the score 'eval_a_pearson_pearson' is also one of the task 'a'. Rename one of the tasks."
    )


class Unranked(Regression):
    outputs_are: ClassVar[str] = "something else"


def test_a_type_that_no_metric_fits_is_shown_no_example() -> None:
    said = [str(mistake) for mistake in check_metrics({"t": Unranked(metrics=[])})]
    assert said == ["tasks.t.metrics: no metric of which more is better, found: none. The task's score needs one"]
