import math

import numpy as np
import pytest

from hf_mtl import Regression, SequenceClassification
from hf_mtl.errors import DataError
from hf_mtl.evaluation import metric_keys, score_task

LOGITS = np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0], [0.0, 1.0, 1.5], [9.0, 1.0, 1.5]])


def test_classification_is_scored_by_the_largest_logit_in_the_order_of_declaration():
    metrics = ["matthews", "accuracy", {"name": "f1", "labels": ["against", "favor"]}]
    task = SequenceClassification(labels=["none", "against", "favor"], metrics=metrics)
    scores = score_task(task, "stance", LOGITS, np.array([0, 1, 2, 2]))
    assert list(scores) == ["matthews", "accuracy", "f1"]
    assert scores["accuracy"] == 0.75
    assert scores["f1"] == pytest.approx((1 + 2 / 3) / 2)


def test_two_f1_keep_their_own_values():
    metrics = [{"name": "f1", "labels": ["none"]}, {"name": "f1", "labels": ["against", "favor"]}]
    task = SequenceClassification(labels=["none", "against", "favor"], metrics=metrics)
    scores = score_task(task, "stance", LOGITS, np.array([0, 1, 2, 2]))
    assert scores == {"f1_none": pytest.approx(2 / 3), "f1_against_favor": pytest.approx((1 + 2 / 3) / 2)}


def test_auroc_sees_probabilities_and_not_logits():
    # Row 0 has the larger logit of class 1, row 1 the larger probability.
    logits, labels = np.array([[9.0, 8.0], [0.0, 1.0]]), np.array([0, 1])
    task = SequenceClassification(labels=2, metrics=["auroc_macro"])
    assert score_task(task, "x", logits, labels) == {"auroc_macro": 1.0}


def test_large_logits_do_not_overflow():
    task = SequenceClassification(labels=2, metrics=["auroc_macro"])
    logits = np.array([[1e4, 0.0], [-1e4, 0.0]], dtype=np.float32)
    assert score_task(task, "x", logits, np.array([0, 1])) == {"auroc_macro": 1.0}


def test_regression_of_several_targets_is_scored_in_original_units():
    task = Regression(label=["V", "A"], metrics=["mae", "mse_z"])
    outputs, labels = np.array([[1.0, 10.0], [1.0, 10.0]]), np.array([[1.0, 12.0], [2.0, 14.0]])
    scores = score_task(task, "emobank", outputs, labels, {"std": [0.5, 2.0]})
    assert scores == {
        "mae": 1.75,
        "mae_V": 0.5,
        "mae_A": 3.0,
        "mse_z": 2.25,
        "mse_z_V": 2.0,
        "mse_z_A": 2.5,
    }


def test_one_target_has_no_extra_values():
    scores = score_task(Regression(metrics=["mae"]), "x", np.array([[1.0], [2.0]]), np.array([1.0, 3.0]))
    assert scores == {"mae": 0.5}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_outputs_that_are_no_numbers_make_every_score_nan(bad):
    classification = SequenceClassification(labels=2, metrics=["accuracy", "auroc_macro"])
    regression = Regression(metrics=["pearson", "mse"])
    outputs = np.array([[0.0, 1.0], [bad, 0.0]])
    for task, values in ((classification, outputs), (regression, outputs[:, :1])):
        scores = score_task(task, "x", values, np.array([0, 1]))
        assert list(scores) == list(metric_keys(task))
        assert all(math.isnan(value) for value in scores.values())


def test_no_rows_are_the_users_mistake_and_a_wrong_shape_is_ours():
    task = SequenceClassification(labels=2)
    with pytest.raises(DataError, match=r"tasks\.x\.dataset: no rows"):
        score_task(task, "x", np.zeros((0, 2)), np.zeros(0, dtype=int))
    with pytest.raises(ValueError, match=r"'x': outputs of shape \(1, 2\) expected, found \(1, 3\)"):
        score_task(task, "x", np.zeros((1, 3)), np.zeros(1, dtype=int))
