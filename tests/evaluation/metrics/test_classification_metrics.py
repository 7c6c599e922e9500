import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest

from hf_mtl.evaluation.metrics.accuracy import Accuracy
from hf_mtl.evaluation.metrics.auroc_macro import AurocMacro
from hf_mtl.evaluation.metrics.f1 import F1, F1Macro, F1Micro
from hf_mtl.evaluation.metrics.matthews import Matthews
from hf_mtl.evaluation.metrics.recall_macro import RecallMacro

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "metric_classification.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_values_equal_the_golden_ones(case):
    classes, expected = case["inputs"]["num_classes"], case["expected"]
    metrics = {
        "accuracy": Accuracy(classes),
        "macro_f1": F1Macro(classes),
        "macro_recall": RecallMacro(classes),
        "f1_class_1": F1(classes, labels=[1]),
    }
    if "f1_mean_classes_1_2" in expected:
        metrics["f1_mean_classes_1_2"] = F1(classes, labels=[1, 2])
    assert metrics.keys() == expected.keys()
    inputs = {"predictions": case["inputs"]["predictions"], "references": case["inputs"]["labels"]}
    for name, metric in metrics.items():
        assert metric.compute(**inputs)[metric.key] == pytest.approx(expected[name], rel=1e-9)


def test_a_class_that_no_row_has_counts_zero():
    inputs = {"predictions": [0, 1], "references": [0, 1]}
    assert F1Macro(3).compute(**inputs)["f1_macro"] == pytest.approx(2 / 3)
    assert RecallMacro(4).compute(**inputs)["recall_macro"] == pytest.approx(1 / 2)


def test_f1_of_two_classes_is_that_of_class_one():
    inputs = {"predictions": [1, 0, 0, 0], "references": [1, 1, 0, 0]}
    assert F1(2).compute(**inputs) == {"f1": pytest.approx(2 / 3)}


@pytest.mark.parametrize(("classes", "labels"), [(3, None), (3, []), (3, [3]), (2, [-1])])
def test_f1_refuses_classes_that_are_not_there(classes, labels):
    with pytest.raises(ValueError, match="labels"):
        F1(classes, labels=labels)


def test_f1_micro_equals_accuracy():
    rng = np.random.default_rng(0)
    inputs = {"predictions": rng.integers(0, 4, 50), "references": rng.integers(0, 4, 50)}
    assert F1Micro(4).compute(**inputs)["f1_micro"] == Accuracy(4).compute(**inputs)["accuracy"]


def test_matthews_of_two_classes_is_the_correlation_of_the_ids():
    rng = np.random.default_rng(0)
    predictions, references = rng.integers(0, 2, 40), rng.integers(0, 2, 40)
    value = Matthews(2).compute(predictions=predictions, references=references)["matthews"]
    assert value == pytest.approx(np.corrcoef(predictions, references)[0, 1])


@pytest.mark.parametrize(("predictions", "references"), [([1, 1], [0, 1]), ([0, 1], [1, 1]), ([1, 1], [1, 1])])
def test_matthews_of_a_constant_is_zero_without_a_warning(predictions, references):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Matthews(2).compute(predictions=predictions, references=references) == {"matthews": 0.0}


def test_auroc_counts_pairs_in_order():
    rng = np.random.default_rng(0)
    scores, references = rng.dirichlet(np.ones(3), 30), rng.integers(0, 3, 30)
    expected = []
    for index in range(3):
        inside, outside = scores[references == index, index], scores[references != index, index]
        pairs = inside[:, None] - outside[None, :]
        expected.append(np.mean((pairs > 0) + 0.5 * (pairs == 0)))
    value = AurocMacro(3).compute(prediction_scores=scores, references=references)["auroc_macro"]
    assert value == pytest.approx(np.mean(expected))


def test_auroc_leaves_out_a_class_without_rows():
    scores = [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.2, 0.7]]
    assert AurocMacro(3).compute(prediction_scores=scores, references=[0, 1, 1]) == {"auroc_macro": 0.75 + 0.25}


def test_auroc_of_one_class_is_nan_and_says_why():
    with pytest.warns(UserWarning, match="all evaluated rows have one class"):
        value = AurocMacro(2).compute(prediction_scores=[[0.8, 0.2], [0.3, 0.7]], references=[1, 1])["auroc_macro"]
    assert math.isnan(value)
