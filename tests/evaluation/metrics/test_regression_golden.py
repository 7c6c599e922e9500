import json
from pathlib import Path

import numpy as np
import pytest

from hf_mtl.evaluation.metrics.correlation import Pearson, Spearman
from hf_mtl.evaluation.metrics.r2 import R2
from hf_mtl.evaluation.metrics.squared_error import MSE, MSEZ

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "metric_regression.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_values_equal_the_golden_ones(case):
    targets, expected = case["inputs"]["targets"], case["expected"]
    metrics = [Pearson(), Spearman(), MSE(), MSEZ([np.std(targets)]), R2()]
    assert {metric.key for metric in metrics} == expected.keys()
    for metric in metrics:
        value = metric.compute(predictions=case["inputs"]["predictions"], references=targets)[metric.key]
        assert value == pytest.approx(expected[metric.key], rel=1e-8)
