import math

from hf_mtl.evaluation.metrics.r2 import R2


def test_r2_of_one_row_is_nan_and_of_constant_targets_zero():
    assert math.isnan(R2().compute(predictions=[1.0], references=[2.0])["r2"])
    assert R2().compute(predictions=[1.0, 2.0], references=[2.0, 2.0]) == {"r2": 0.0}
