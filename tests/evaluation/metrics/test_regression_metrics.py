import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest

from hf_mtl.evaluation.metrics.correlation import Pearson, Spearman
from hf_mtl.evaluation.metrics.mae import MAE
from hf_mtl.evaluation.metrics.r2 import R2
from hf_mtl.evaluation.metrics.squared_error import MSE, MSEZ, RMSE

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "metric_regression.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_values_equal_the_golden_ones(case):
    targets, expected = case["inputs"]["targets"], case["expected"]
    metrics = [Pearson(), Spearman(), MSE(), MSEZ([np.std(targets)]), R2()]
    assert {metric.key for metric in metrics} == expected.keys()
    for metric in metrics:
        value = metric.compute(predictions=case["inputs"]["predictions"], references=targets)[metric.key]
        assert value == pytest.approx(expected[metric.key], rel=1e-8)


def test_rmse_is_the_root_of_mse_and_mae_the_mean_error():
    inputs = {"predictions": [0.0, 0.0], "references": [3.0, -4.0]}
    assert RMSE().compute(**inputs) == {"rmse": pytest.approx(math.sqrt(12.5))}
    assert MAE().compute(**inputs) == {"mae": 3.5}


@pytest.mark.parametrize("metric", [Pearson(), Spearman()], ids=lambda metric: metric.key)
@pytest.mark.parametrize("constant", [[0.0] * 3, [0.1 + 0.2, 0.3, 0.3], [7.0] * 3])
def test_correlation_with_a_constant_is_zero_without_a_warning(metric, constant):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metric.compute(predictions=constant, references=[1.0, 2.0, 3.0]) == {metric.key: 0.0}
        assert metric.compute(predictions=[1.0, 2.0, 3.0], references=constant) == {metric.key: 0.0}
        assert metric.compute(predictions=[1.0], references=[2.0]) == {metric.key: 0.0}


def test_several_targets_give_their_mean_and_one_value_each():
    rng = np.random.default_rng(0)
    predictions, references = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    values = Pearson(target_names=["V", "A", "D"]).compute(predictions=predictions, references=references)
    alone = [
        Pearson().compute(predictions=p, references=r)["pearson"]
        for p, r in zip(predictions.T, references.T, strict=True)
    ]
    assert values == {
        "pearson": pytest.approx(np.mean(alone)),
        "pearson_V": alone[0],
        "pearson_A": alone[1],
        "pearson_D": alone[2],
    }


def test_rmse_of_several_targets_is_the_mean_of_their_roots():
    values = RMSE().compute(predictions=[[0.0, 0.0]], references=[[1.0, 3.0]])
    assert values == {"rmse": 2.0, "rmse_0": 1.0, "rmse_1": 3.0}


def test_z_scored_error_divides_each_target_by_its_own_spread():
    values = MSEZ([1.0, 10.0]).compute(predictions=[[0.0, 0.0]], references=[[2.0, 20.0]])
    assert values == {"mse_z": 4.0, "mse_z_0": 4.0, "mse_z_1": 4.0}


def test_z_scored_error_refuses_a_spread_of_zero():
    with pytest.raises(ValueError, match="positive"):
        MSEZ([1.0, 0.0])


def test_r2_of_one_row_is_nan_and_of_constant_targets_zero():
    assert math.isnan(R2().compute(predictions=[1.0], references=[2.0])["r2"])
    assert R2().compute(predictions=[1.0, 2.0], references=[2.0, 2.0]) == {"r2": 0.0}


def test_values_keep_double_precision():
    inputs = {"predictions": [1.0 + 1e-12], "references": [1.0]}
    assert MAE().compute(**inputs)["mae"] == pytest.approx(1e-12, rel=1e-3)
