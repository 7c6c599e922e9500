"""Linear probes against golden values, and at the sites of rows with several outputs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from hf_mtl import Regression, SequenceClassification
from hf_mtl.evaluation.outputs import probabilities
from hf_mtl.evaluation.representations import Standardisation, probe_outputs, site_probe_outputs

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "metric_linear_probe.json").read_text())
RANDOM = np.random.default_rng(7)


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_values_equal_the_golden_ones(case):
    inputs = {key: np.array(value) for key, value in case["inputs"].items()}
    train, labels, test = inputs["train_x"], inputs["train_y"], inputs["test_x"]
    task = SequenceClassification(labels=[f"c{index}" for index in range(labels.max() + 1)])
    shares = probabilities(probe_outputs(task, train, labels, train))
    accuracy = (probe_outputs(task, train, labels, test).argmax(axis=1) == inputs["test_y"]).mean()
    near = {"rel": GOLDEN["rtol"], "abs": GOLDEN["atol"]}
    assert accuracy == pytest.approx(case["expected"]["accuracy"], **near)
    log_loss = -np.log(shares[np.arange(len(labels)), labels]).mean()
    assert log_loss == pytest.approx(case["expected"]["train_log_loss"], **near)
    values = probe_outputs(Regression(label="y"), train, inputs["train_target"][:, None], test)
    assert values[:, 0] == pytest.approx(np.array(case["expected"]["ridge_predictions"]), **near)


def test_a_constant_feature_is_left_at_0():
    measured = Standardisation.of(np.array([[1.0, 2.0], [1.0, 4.0]]))
    assert measured(np.array([[1.0, 3.0], [2.0, 4.0]])).tolist() == [[0, 0], [1, 1]]


def test_rows_of_one_class_are_predicted_as_that():
    task = SequenceClassification(labels=["a", "b"])
    found = probe_outputs(task, RANDOM.normal(size=(6, 3)), np.ones(6, dtype=np.int64), RANDOM.normal(size=(4, 3)))
    assert found.argmax(axis=1).tolist() == [1, 1, 1, 1]


def test_a_probe_at_sites_is_a_logistic_regression_where_each_row_has_one():
    features, labels = RANDOM.normal(size=(80, 4)), RANDOM.integers(0, 3, size=80)
    task, targets = SequenceClassification(labels=["a", "b", "c"]), torch.from_numpy(labels)
    found = site_probe_outputs(task, features, lambda outputs: task.row_losses(outputs, targets), features[:20])
    measured = Standardisation.of(features)
    expected = LogisticRegression(tol=1e-8).fit(measured(features), labels).predict_proba(measured(features[:20]))
    assert probabilities(found) == pytest.approx(expected, abs=2e-3)
