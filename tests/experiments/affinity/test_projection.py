import numpy as np
import pytest
import torch

from hf_mtl.experiments.affinity.projection import Projection

SIZES = [3_000, 500, 6_500]


def test_it_is_the_projection_of_scikit_learn() -> None:
    from sklearn.random_projection import SparseRandomProjection

    vector = np.random.default_rng(0).normal(size=(1, 10_000))
    expected = SparseRandomProjection(64, random_state=5).fit(vector).transform(vector)[0]
    parts = [torch.from_numpy(part).view(-1, 100) for part in np.split(vector[0], np.cumsum(SIZES)[:-1])]
    found = Projection(SIZES, 64, 5, torch.device("cpu"))(parts)
    assert found == pytest.approx(expected, abs=1e-9)


def test_lengths_are_kept_about() -> None:
    projection = Projection(SIZES, 256, 0, torch.device("cpu"))
    random = torch.Generator().manual_seed(0)
    for _ in range(5):
        parts = [torch.randn(size, generator=random) for size in SIZES]
        length = torch.cat(parts).norm()
        assert np.linalg.norm(projection(parts)) == pytest.approx(float(length), rel=0.2)
