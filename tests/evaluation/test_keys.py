from hf_mtl import Regression, SequenceClassification
from hf_mtl.evaluation import headline_keys, metric_keys
from hf_mtl.evaluation.keys import first_scores


def test_one_f1_is_called_f1_whatever_its_classes():
    task = SequenceClassification(metrics=[{"name": "f1", "labels": [1, 2]}, "accuracy"])
    assert list(metric_keys(task)) == ["f1", "accuracy"]


def test_several_f1_are_called_by_their_classes():
    task = SequenceClassification(metrics=["f1", {"name": "f1", "labels": ["against", "in favor"]}])
    assert list(metric_keys(task)) == ["f1", "f1_against_in_favor"]


def test_a_path_or_id_goes_by_its_last_part():
    metrics = [{"name": "./scripts/my_score.py"}, {"name": "someone/brier"}]
    assert list(metric_keys(SequenceClassification(metrics=metrics))) == ["my_score", "brier"]


def test_headlines_are_the_metrics_of_which_more_is_better():
    task = Regression(metrics=["mse", "spearman", {"name": "x", "greater_is_better": False}, "r2"])
    assert headline_keys(task) == ["spearman", "r2"]


def test_first_scores_are_turned_so_that_more_is_better() -> None:
    tasks = {
        "a": SequenceClassification(metrics=["accuracy", "f1"]),
        "b": Regression(metrics=["mse", "r2"]),
        "c": Regression(metrics=[]),
        "d": SequenceClassification(metrics=["accuracy"]),
    }
    metrics = {"eval_a_accuracy": 0.5, "eval_a_f1": 0.1, "eval_b_mse": 4.0, "eval_c_loss": 2.0, "eval_a_loss": 9.0}
    assert first_scores(tasks, metrics) == {"a": 0.5, "b": -4.0, "c": -2.0}
