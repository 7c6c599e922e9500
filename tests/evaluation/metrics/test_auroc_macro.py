import math

import numpy as np
import pytest

from hf_mtl.evaluation.metrics.auroc_macro import AurocMacro


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
