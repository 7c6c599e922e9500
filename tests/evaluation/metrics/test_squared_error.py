import math

import pytest

from hf_mtl.evaluation.metrics.mae import MAE
from hf_mtl.evaluation.metrics.squared_error import MSEZ, RMSE


def test_rmse_is_the_root_of_mse_and_mae_the_mean_error():
    inputs = {"predictions": [0.0, 0.0], "references": [3.0, -4.0]}
    assert RMSE().compute(**inputs) == {"rmse": pytest.approx(math.sqrt(12.5))}
    assert MAE().compute(**inputs) == {"mae": 3.5}


def test_rmse_of_several_targets_is_the_mean_of_their_roots():
    values = RMSE().compute(predictions=[[0.0, 0.0]], references=[[1.0, 3.0]])
    assert values == {"rmse": 2.0, "rmse_0": 1.0, "rmse_1": 3.0}


def test_z_scored_error_divides_each_target_by_its_own_spread():
    values = MSEZ([1.0, 10.0]).compute(predictions=[[0.0, 0.0]], references=[[2.0, 20.0]])
    assert values == {"mse_z": 4.0, "mse_z_0": 4.0, "mse_z_1": 4.0}


def test_z_scored_error_refuses_a_spread_of_zero():
    with pytest.raises(ValueError, match="positive"):
        MSEZ([1.0, 0.0])
