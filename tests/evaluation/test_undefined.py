"""Metrics that the labels leave without a meaning, and notes beside scores that look like scores."""

import numpy as np
import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.evaluation import score_notes, score_task, undefined_metrics
from hf_mtl.tasks import Task

ALL = ["accuracy", "f1_macro", "f1_micro", "recall_macro", "matthews", "auroc_macro", "ece"]
MOOD = SequenceClassification(labels=["good", "bad"], metrics=[*ALL, "f1"])
TOPIC = SequenceClassification(labels=["a", "b", "c"], metrics=[*ALL, {"name": "f1", "labels": ["b", 2]}])
SCORE = Regression(label=["x", "y"], metrics=["pearson", "spearman", "r2", "mse", "rmse", "mae"])


def problems(task: Task, labels: list) -> list[str]:
    return [mistake.problem for mistake in undefined_metrics(task, "t", np.array(labels), "validation")]


def test_labels_of_one_class_leave_nothing_to_rank_or_correlate():
    assert problems(MOOD, [0, 0, 0]) == [
        "matthews is 0 whatever is predicted on the 3 validation rows: all are of class 'good'",
        "auroc_macro is undefined on the 3 validation rows: all are of class 'good'",
        "f1 is 0 whatever is predicted on the 3 validation rows: none is of class 'bad'",
    ]
    assert problems(TOPIC, [0, 0]) == [
        "matthews is 0 whatever is predicted on the 2 validation rows: all are of class 'a'",
        "auroc_macro is undefined on the 2 validation rows: all are of class 'a'",
        "f1 is 0 whatever is predicted on the 2 validation rows: none is of class 'b', 'c'",
    ]
    assert problems(TOPIC, [2, 1]) == problems(TOPIC, [0, 2]) == problems(MOOD, [0, 1]) == []


def test_constant_targets_leave_nothing_to_correlate():
    assert problems(SCORE, [[1.0, 2.0], [3.0, 2.0]]) == [
        "pearson is 0 whatever is predicted on the 2 validation rows: every target in 'y' is 2",
        "spearman is 0 whatever is predicted on the 2 validation rows: every target in 'y' is 2",
        "r2 is undefined on the 2 validation rows: every target in 'y' is 2",
    ]
    assert problems(Regression(), [[0.5]]) == [
        "pearson is 0 whatever is predicted on the 1 validation rows: every target is 0.5"
    ]
    assert problems(SCORE, [[1.0, 2.0], [3.0, 4.0]]) == []


@pytest.mark.parametrize(("task", "labels"), [(MOOD, [0, 0]), (TOPIC, [0, 0]), (SCORE, [[1.0, 2.0], [1.0, 2.0]])])
def test_what_is_called_undefined_or_constant_is(task, labels):
    random, found = np.random.default_rng(0), set()
    for _ in range(20):
        outputs = random.normal(size=(2, task.num_outputs))
        scores = score_task(task, "t", outputs, np.array(labels))
        found |= {
            key
            for mistake in undefined_metrics(task, "t", np.array(labels), "x")
            for key in scores
            if mistake.problem.startswith(f"{key} is") and (np.isnan(scores[key]) or scores[key] == 0.0)
        }
    assert found == {mistake.problem.split()[0] for mistake in undefined_metrics(task, "t", np.array(labels), "x")}


def test_classes_without_rows_are_named_where_they_count():
    assert TOPIC.absent(np.array([0, 2])) == ["b"]
    assert SequenceClassification(labels=["a", "b"], metrics=["accuracy"]).absent(np.array([0])) == []
    assert SCORE.absent(np.zeros((2, 2))) == []


def notes(task: Task, outputs: np.ndarray, labels: list) -> list[str]:
    found = np.array(labels)
    return score_notes(task, "t", outputs, found, score_task(task, "t", outputs, found))


def test_of_very_many_absent_classes_the_first_are_named():
    task = SequenceClassification(labels=[f"c{i}" for i in range(700)])
    outputs = np.eye(700)[:2]
    assert notes(task, outputs, [0, 1])[-1].endswith(
        "'c20', 'c21' and 678 more, which counts 0 in the mean over classes."
    )


@pytest.mark.filterwarnings("ignore:auroc_macro is undefined")
def test_notes_tell_what_scores_hide():
    logits = np.array([[2.0, 1.0], [3.0, 0.0], [0.5, 0.1]])
    assert notes(MOOD, logits, [0, 1, 0]) == ["t: all 3 rows are predicted 'good'."]
    assert notes(MOOD, logits[:, ::-1] * [[1], [-1], [1]], [0, 1, 0]) == []
    assert notes(MOOD, logits, [0, 0, 0])[-1] == (
        "t: no scored row is of class 'bad', which counts 0 in the mean over classes."
    )
    assert "t: auroc_macro is undefined on the 3 scored rows: all are of class 'good'." in notes(
        MOOD, logits, [0] * 3
    )
    broken = np.array([[np.nan, 0.0], [1.0, np.inf], [0.0, 1.0]])
    assert notes(MOOD, broken, [0, 1, 0]) == ["t: 2 of 3 outputs are not finite, so it has no scores."]
    values, targets = np.array([[1.0, 3.0], [1.0 + 1e-9, 4.0], [1.0, 5.0]]), [[0.0, 1.0], [1.0, 2.0], [3.0, 2.0]]
    assert notes(SCORE, values, targets) == ["t: all 3 predictions of 'x' are 1, within 1e-5 of the targets' spread."]


def test_another_score_that_is_undefined_is_named_too():
    scores = {"accuracy": 1.0, "mine": np.nan}
    found = score_notes(MOOD, "t", np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1]), scores)
    assert found == ["t: mine is undefined here; average leaves it out where the task has another metric."]
