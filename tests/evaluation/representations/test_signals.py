"""Correlations of early numbers with final ones."""

import math

import pytest

from hf_mtl.evaluation.representations import correlate


def test_ranks_and_values_are_correlated_where_both_are_known():
    found = correlate([1, 2, 3, 4, 5, math.nan], [1, 2, 3, 4, 50, 7])
    assert found.n == 5
    assert found.spearman == pytest.approx(1)
    assert 0.7 < found.pearson < 0.8


@pytest.mark.parametrize("pairs", [([1, 2, 3, 4], [1, 2, 3, 4]), ([1, 1, 1, 1, 1], [1, 2, 3, 4, 5])])
def test_four_pairs_or_a_constant_give_none(pairs):
    found = correlate(*pairs)
    assert math.isnan(found.pearson)
    assert math.isnan(found.spearman)


def test_numbers_that_are_not_as_many_are_refused():
    with pytest.raises(ValueError, match="found 2 and 1"):
        correlate([1, 2], [1])
