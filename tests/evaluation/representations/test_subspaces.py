"""Subspace alignment against golden values, and its limits."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from hf_mtl.evaluation.representations import subspace_alignment

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "metric_subspace_alignment.json").read_text())
RANDOM = np.random.default_rng(6)


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_values_equal_the_golden_ones(case):
    inputs, expected = case["inputs"], case["expected"]
    found = subspace_alignment(np.array(inputs["features_a"]), np.array(inputs["features_b"]), inputs["k"])
    values = {
        "k_effective": found.k,
        "mean_cosine": found.mean_cosine,
        "mean_squared_cosine": found.mean_squared_cosine,
        "alignment_error": found.alignment_error,
        "chance_mean_squared_cosine": found.chance,
        "covariance_cosine": found.covariance_cosine,
    }
    cosines = expected.pop("cosines")
    assert values == pytest.approx(expected, rel=GOLDEN["rtol"], abs=GOLDEN["atol"])
    assert found.cosines == pytest.approx(cosines, rel=GOLDEN["rtol"], abs=GOLDEN["atol"])


def test_random_features_align_as_chance_says():
    found = [
        subspace_alignment(RANDOM.normal(size=(60, 30)), RANDOM.normal(size=(60, 30)), 6).mean_squared_cosine
        for _ in range(30)
    ]
    assert np.mean(found) == pytest.approx(6 / 30, abs=0.03)


def test_fewer_directions_are_compared_where_features_vary_in_fewer():
    flat = RANDOM.normal(size=(20, 2)) @ RANDOM.normal(size=(2, 8))
    found = subspace_alignment(flat, flat[:10] * 3 + 1, 5)
    assert found.k == 2
    assert found.mean_squared_cosine == pytest.approx(1)


def test_constant_features_have_no_directions():
    found = subspace_alignment(np.ones((5, 4)), RANDOM.normal(size=(5, 4)))
    assert found.k == 0
    assert math.isnan(found.mean_squared_cosine)


def test_spaces_of_other_widths_are_refused():
    with pytest.raises(ValueError, match="one width expected, found 3 and 4"):
        subspace_alignment(np.ones((5, 3)), np.ones((5, 4)))
