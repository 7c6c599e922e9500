"""Rounding is no feature."""

import numpy as np

from hf_mtl.evaluation.representations.constant import centred


def test_what_is_constant_up_to_float32_is_0_and_what_is_small_is_not():
    random = np.random.default_rng(0)
    rounding = (1 + 1e-7 * random.normal(size=(8, 3))).astype(np.float32)
    assert not centred(rounding).any()
    small = 1e-9 * random.normal(size=(8, 3))
    assert np.allclose(centred(small), small - small.mean(axis=0), atol=0)
    assert centred(1 + 1e-3 * random.normal(size=(8, 3))).any()
