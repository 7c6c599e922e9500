import json
from pathlib import Path

import pytest

from hf_mtl.evaluation.metrics.accuracy import Accuracy
from hf_mtl.evaluation.metrics.f1 import F1, F1Macro
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
