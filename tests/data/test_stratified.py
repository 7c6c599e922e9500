from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_mtl.data.stratified import class_quotas, nested_rows, stratified_rows

COUNTS = st.lists(st.integers(0, 60), min_size=1, max_size=6).filter(any)


@given(counts=COUNTS, data=st.data())
def test_quotas_sum_to_the_total_and_no_class_gives_more_than_it_has(counts: list[int], data: Any) -> None:
    total = data.draw(st.integers(1, sum(counts)))
    quotas = class_quotas(counts, total)
    assert quotas.sum() == total
    assert (quotas >= 0).all()
    assert (quotas <= np.array(counts)).all()


@given(counts=COUNTS, data=st.data())
def test_every_class_that_has_rows_keeps_one_where_the_total_allows(counts: list[int], data: Any) -> None:
    classes = np.count_nonzero(counts)
    total = data.draw(st.integers(int(classes), sum(counts)))
    assert (class_quotas(counts, total)[np.array(counts) > 0] >= 1).all()


@given(counts=COUNTS, data=st.data())
def test_a_quota_is_within_one_of_the_exact_share_unless_rare_classes_were_rescued(
    counts: list[int], data: Any
) -> None:
    total = data.draw(st.integers(1, sum(counts)))
    exact = np.array(counts) * total / sum(counts)
    rescued = total >= np.count_nonzero(counts) and bool(((exact > 0) & (exact < 1)).any())
    distance = np.abs(class_quotas(counts, total) - exact)
    # Rescued classes are raised to at most 1, and each takes one row of the largest class.
    assert distance.max() < 1 + rescued * np.count_nonzero((exact > 0) & (exact < 1))


def test_of_equal_remainders_the_lower_class_wins() -> None:
    assert class_quotas([5, 5, 5], 4).tolist() == [2, 1, 1]
    assert class_quotas([5, 5, 5], 5).tolist() == [2, 2, 1]


def test_a_rare_class_takes_a_row_of_the_largest() -> None:
    assert class_quotas([1, 400, 1, 0], 10).tolist() == [1, 8, 1, 0]
    assert class_quotas([1, 400, 1], 2).tolist() == [0, 2, 0]  # two rows cannot hold three classes


def test_more_rows_than_there_are_cannot_be_asked() -> None:
    with pytest.raises(ValueError, match="5 of 4 rows"):
        class_quotas([2, 2], 5)


def test_the_rows_drawn_are_those_of_the_quotas_in_order() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 5], [400, 60, 1]))
    rows = stratified_rows("a", labels, 47, seed=3)
    assert (np.diff(rows) > 0).all()
    assert np.bincount(labels[rows]).tolist() == [40, 6, 0, 0, 0, 1]
    assert rows.tolist() == stratified_rows("a", labels, 47, seed=3).tolist()
    assert rows.tolist() != stratified_rows("b", labels, 47, seed=3).tolist()


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    fractions=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)),
    seed=st.integers(0, 2**32),
)
def test_shares_are_nested_and_keep_the_strata(counts: list[int], fractions: tuple[float, float], seed: int) -> None:
    strata = np.repeat(np.arange(len(counts)), counts)
    keys = np.arange(len(strata), dtype=np.uint64)
    small, large = (nested_rows(keys, strata, fraction, seed) for fraction in sorted(fractions))
    assert set(small) <= set(large)
    assert (np.diff(large) > 0).all()
    assert len(large) == max(1, int(max(fractions) * len(strata) + 0.5))
    kept = np.bincount(strata[large], minlength=len(counts))
    if len(large) >= len(counts):
        assert (kept > 0).all()
    # At most half a row by the order of each stratum, and one for each that would have had none.
    assert np.abs(kept - len(large) * np.array(counts) / len(strata)).max() <= 1 + len(counts)
    assert np.array_equal(nested_rows(keys, strata, 1.0, seed), np.arange(len(strata)))


def test_a_share_without_strata_is_any_rows_of_it_with_equal_chance() -> None:
    keys = np.arange(20, dtype=np.uint64)
    drawn = np.concatenate([nested_rows(keys, None, 0.25, seed) for seed in range(400)])
    # 100 expected of each, with a standard deviation of about 9; seeded, so this does not come and go.
    assert np.abs(np.bincount(drawn, minlength=20) - 100).max() < 45
