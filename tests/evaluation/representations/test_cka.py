"""Linear CKA against golden values, its invariances, and what its biased form does with few rows."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from hf_mtl.evaluation.representations import cka_matrices, debiased_cka, linear_cka, minibatch_cka

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "metric_cka.json").read_text())
RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_values_equal_the_golden_ones(case):
    x, y = (np.array(case["inputs"][key]) for key in "xy")
    found = {
        "linear_cka": linear_cka(x, y),
        "debiased_cka": debiased_cka(x, y),
        "minibatch_cka": minibatch_cka(x, y, case["inputs"]["minibatch"]),
    }
    assert found == pytest.approx(case["expected"], rel=GOLDEN["rtol"], abs=GOLDEN["atol"])


@pytest.mark.parametrize("cka", [linear_cka, debiased_cka])
def test_rotating_scaling_and_shifting_features_changes_nothing(cka):
    x, y = RANDOM.normal(size=(40, 6)), RANDOM.normal(size=(40, 9))
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(6, 6)))
    assert cka(3 * x @ rotation + 100, y) == pytest.approx(cka(x, y), abs=1e-9)
    assert cka(3 * x @ rotation + 100, x) == pytest.approx(1)


def test_independent_features_of_few_rows_look_alike_only_to_the_biased_form():
    pairs = [(RANDOM.normal(size=(30, 200)), RANDOM.normal(size=(30, 200))) for _ in range(20)]
    assert np.mean([linear_cka(x, y) for x, y in pairs]) > 0.8
    assert abs(np.mean([debiased_cka(x, y) for x, y in pairs])) < 0.05


@pytest.mark.parametrize("cka", [linear_cka, debiased_cka])
def test_constant_features_have_none(cka):
    assert math.isnan(cka(np.ones((8, 3)), RANDOM.normal(size=(8, 3))))


def test_three_rows_are_too_few_for_the_debiased_form():
    assert math.isnan(debiased_cka(np.eye(3), np.eye(3)))


def test_other_rows_and_batches_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="same rows expected, found 5 and 6"):
        linear_cka(np.ones((5, 2)), np.ones((6, 2)))
    with pytest.raises(ValueError, match="found 3 of 8 rows"):
        minibatch_cka(np.ones((8, 2)), np.ones((8, 2)), 3)


def test_matrices_hold_the_values_of_each_pair():
    xs, ys = [RANDOM.normal(size=(12, width)) for width in (3, 5)], [RANDOM.normal(size=(12, 4)) for _ in range(3)]
    linear, debiased = cka_matrices(xs, ys)
    assert linear == pytest.approx(np.array([[linear_cka(x, y) for y in ys] for x in xs]))
    assert debiased == pytest.approx(np.array([[debiased_cka(x, y) for y in ys] for x in xs]))
    assert cka_matrices(xs, xs)[0].diagonal() == pytest.approx(1)
    with pytest.raises(ValueError, match=r"found \[11, 12\]"):
        cka_matrices(xs, [ys[0][1:]])
