import warnings

import numpy as np
import pytest

from hf_mtl.evaluation.metrics.matthews import Matthews


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
