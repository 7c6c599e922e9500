import numpy as np
import pytest
from sklearn.linear_model import Ridge

from hf_mtl.evaluation.values import linear_values


def test_each_target_is_fitted_to_the_rows_that_have_it() -> None:
    random, nan = np.random.default_rng(0), float("nan")
    features = random.normal(size=(20, 3))
    targets = np.column_stack([features @ [1.0, 2.0, 3.0], random.normal(size=20), np.full(20, nan), features[:, 0]])
    targets[::3, 1] = nan
    found = linear_values(features, targets, np.array([9.0, 9.0, 4.5, 9.0]))(features[:5])
    given = ~np.isnan(targets[:, 1])
    np.testing.assert_allclose(found[:, 0], Ridge().fit(features, targets[:, 0]).predict(features[:5]))
    np.testing.assert_allclose(found[:, 1], Ridge().fit(features[given], targets[given, 1]).predict(features[:5]))
    np.testing.assert_allclose(found[:, 3], Ridge().fit(features, targets[:, 3]).predict(features[:5]))
    assert found[:, 2].tolist() == [pytest.approx(4.5)] * 5
