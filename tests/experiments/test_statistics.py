import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hf_mtl.experiments.evidence import from_seeds
from hf_mtl.experiments.statistics import (
    cliffs_delta,
    early_signal_correlation,
    hedges_g,
    holm,
    mean_interval,
)

GOLDEN = {
    name: json.loads((Path(__file__).parents[1] / "golden" / f"metric_{name}.json").read_text())
    for name in ("statistics", "holm")
}
scores = st.lists(st.floats(-100, 100).map(lambda value: round(value, 3)), min_size=1, max_size=8)
p_values = st.lists(st.floats(0, 1), max_size=8)


@pytest.mark.parametrize("case", GOLDEN["statistics"]["cases"])
def test_values_equal_the_golden_ones(case):
    a, b = case["inputs"]["a"], case["inputs"]["b"]
    interval, test = mean_interval(a), from_seeds(np.subtract(a, b))
    correlation = early_signal_correlation(a, b, min_runs=3)
    found = {
        "mean": interval.mean,
        "ci95_low": interval.low,
        "ci95_high": interval.high,
        "paired_t": math.copysign(stats.t.isf(test.p / 2, test.n - 1), test.difference),
        "paired_p": test.p,
        "cliffs_delta": cliffs_delta(a, b),
        "hedges_g": hedges_g(a, b),
        "pearson": correlation.pearson,
        "spearman": correlation.spearman,
    }
    assert found == pytest.approx(
        case["expected"], rel=GOLDEN["statistics"]["rtol"], abs=GOLDEN["statistics"]["atol"]
    )
    assert interval.n == test.n == correlation.n == len(a)
    assert test.difference == pytest.approx(np.mean(a) - np.mean(b))


@pytest.mark.parametrize("case", GOLDEN["holm"]["cases"])
def test_holm_equals_the_golden_values(case):
    assert holm(case["inputs"]["p_values"]) == pytest.approx(case["expected"]["holm"], rel=1e-9)


def test_holm_by_hand():
    # Sorted: .01 * 4 = .04, .02 * 3 = .06, .03 * 2 = .06, .6.
    assert holm([0.6, 0.01, 0.03, 0.02]) == pytest.approx([0.6, 0.04, 0.06, 0.06])


@given(p_values)
def test_holm_keeps_order_is_never_below_the_raw_value_nor_above_bonferroni(raw):
    adjusted = holm(raw)
    assert all(p <= q <= min(1.0, len(raw) * p) * (1 + 1e-12) for p, q in zip(raw, adjusted, strict=True))
    assert all(
        x <= y for (p, x) in zip(raw, adjusted, strict=True) for (q, y) in zip(raw, adjusted, strict=True) if p < q
    )


@given(p_values, st.randoms())
def test_holm_does_not_depend_on_the_order_of_the_comparisons(raw, random):
    places = list(range(len(raw)))
    random.shuffle(places)
    assert [holm(raw)[place] for place in places] == holm([raw[place] for place in places])


def test_holm_does_not_count_comparisons_that_could_not_be_tested():
    adjusted = holm([0.02, math.nan, 0.03])
    assert math.isnan(adjusted[1])
    assert [adjusted[0], adjusted[2]] == holm([0.02, 0.03])


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_holm_refuses_what_is_no_p_value(value):
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        holm([0.5, value])


@given(scores, scores)
def test_cliffs_delta_is_bounded_and_antisymmetric(a, b):
    assert -1 <= cliffs_delta(a, b) <= 1
    assert cliffs_delta(a, b) == -cliffs_delta(b, a)
    assert cliffs_delta(a, a) == 0


@given(scores, scores)
def test_cliffs_delta_is_1_exactly_where_every_run_is_better(a, b):
    assert (cliffs_delta(a, b) == 1) == (min(a) > max(b))


@given(scores, st.floats(-10, 10).map(lambda value: round(value, 3)))
def test_the_interval_holds_the_mean_and_moves_with_the_values(values, shift):
    interval, moved = mean_interval(values), mean_interval([value + shift for value in values])
    # 1e-9: the sums are of at most 8 values of at most 110.
    assert moved[:3] == pytest.approx([end + shift for end in interval[:3]], abs=1e-9, nan_ok=True)
    assert len(values) == 1 or interval.low <= interval.mean <= interval.high


@given(scores, scores)
def test_hedges_g_is_antisymmetric(a, b):
    assert hedges_g(a, b) == pytest.approx(-hedges_g(b, a), nan_ok=True)


def test_one_run_has_a_mean_but_no_interval():
    interval = mean_interval([70.0])
    assert (interval.mean, interval.n) == (70.0, 1)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert math.isnan(hedges_g([70.0], [69.0]))
    assert cliffs_delta([70.0], [69.0]) == 1.0


@pytest.mark.parametrize("values", [[0.0, 0.0, 0.0], [0.1, 0.1, 0.1], [70.1, 68.2, 69.3]])
def test_a_method_does_not_differ_from_itself(values):
    assert hedges_g(values, values) == 0
    assert cliffs_delta(values, values) == 0


def test_methods_without_spread_have_an_infinite_effect():
    assert hedges_g([0.7, 0.7], [0.6, 0.6]) == math.inf
    assert hedges_g([0.6, 0.6], [0.7, 0.7]) == -math.inf


def test_equal_values_have_an_interval_of_no_width():
    interval = mean_interval([0.1, 0.1, 0.1])
    assert interval.low == pytest.approx(0.1)
    assert interval.high == pytest.approx(0.1)


def test_a_run_that_diverged_makes_everything_nan():
    bad, good = [70.0, math.nan, 69.0, 68.0, 67.0], [1.0, 2.0, 3.0, 4.0, 5.0]
    assert all(math.isnan(value) for value in mean_interval(bad)[:3])
    assert math.isnan(cliffs_delta(bad, good))
    assert math.isnan(hedges_g(good, bad))
    assert math.isnan(early_signal_correlation(bad, good).pearson)


def test_a_constant_signal_has_no_correlation():
    found = early_signal_correlation([0.1 + 0.2] * 3 + [0.3] * 2, [1.0, 2.0, 3.0, 4.0, 5.0])
    assert math.isnan(found.pearson)
    assert math.isnan(found.spearman)


def test_a_correlation_of_fewer_than_five_runs_is_refused():
    with pytest.raises(ValueError, match="5 runs or more, found 4"):
        early_signal_correlation([1, 2, 3, 4], [1, 2, 3, 4])


def test_correlated_values_must_be_of_equal_number():
    with pytest.raises(ValueError, match="found 2 and 3"):
        early_signal_correlation([1.0, 2.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    "call", [lambda: mean_interval([]), lambda: cliffs_delta([], [1.0]), lambda: hedges_g([1], [])]
)
def test_no_values_are_refused(call):
    with pytest.raises(ValueError, match="no values"):
        call()


@given(scores, scores)
def test_cliffs_delta_is_mann_whitneys_u(a, b):
    u = stats.mannwhitneyu(a, b).statistic
    assert cliffs_delta(a, b) == pytest.approx(2 * u / (len(a) * len(b)) - 1)


def test_hedges_g_is_the_t_of_two_samples_corrected():
    a, b = [70.1, 68.2, 69.3, 69.9], [69.0, 67.5, 68.8]
    t = stats.ttest_ind(a, b).statistic
    assert hedges_g(a, b) == pytest.approx(t * math.sqrt(1 / 4 + 1 / 3) * (1 - 3 / (4 * 7 - 9)))


def test_the_interval_is_that_of_the_t_test_of_one_sample():
    values = [70.1, 68.2, 69.3, 69.9]
    assert mean_interval(values)[1:3] == pytest.approx(stats.ttest_1samp(values, 0).confidence_interval())
