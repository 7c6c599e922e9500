import warnings

import numpy as np
import pytest

from hf_mtl.evaluation.metrics.correlation import Pearson, Spearman


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
