import pytest

from hf_mtl.evaluation.metrics.mae import MAE


def test_values_keep_double_precision():
    inputs = {"predictions": [1.0 + 1e-12], "references": [1.0]}
    assert MAE().compute(**inputs)["mae"] == pytest.approx(1e-12, rel=1e-3)
