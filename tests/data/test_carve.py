import numpy as np
import pytest

from hf_mtl.data.carve import carve, draw, quintiles


def test_every_class_gives_its_share() -> None:
    strata = np.repeat([0, 1, 2], [100, 50, 10])
    chosen = carve(strata, 0.1, seed=3, keep_one=True)
    assert np.bincount(strata[chosen]).tolist() == [10, 5, 1]


def test_the_total_is_the_rounded_fraction_where_classes_do_not_divide() -> None:
    strata = np.repeat([0, 1, 2], [37, 36, 27])
    assert carve(strata, 0.1, seed=0, keep_one=True).sum() == 10


def test_a_class_with_one_row_stays_in_train() -> None:
    strata = np.array([0] * 5 + [1])
    for seed in range(20):
        assert not carve(strata, 0.5, seed, keep_one=True)[5]
    assert not carve(np.array([0, 1]), 0.5, 0, keep_one=True).any()


def test_the_draw_depends_on_the_seed_alone() -> None:
    strata = np.repeat([0, 1], 50)
    first, again, other = (carve(strata, 0.2, seed, keep_one=True) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_one_row_at_least_is_chosen() -> None:
    assert carve(np.array([0, 0, 0]), 0.01, 0, keep_one=True).sum() == 1


def test_quintiles_are_equal_fifths_in_target_order() -> None:
    targets = np.random.default_rng(0).normal(size=(50, 1))
    fifths = quintiles(targets)
    assert np.bincount(fifths).tolist() == [10] * 5
    assert targets[fifths == 0].max() < targets[fifths == 4].min()


def test_quintiles_weigh_targets_by_their_spread_and_take_constant_ones() -> None:
    targets = np.stack([np.arange(10.0) * 1000, np.arange(10.0)[::-1], np.ones(10)], axis=1)
    swapped = targets[:, [1, 0, 2]]
    assert np.bincount(quintiles(targets), minlength=5).tolist() == [2] * 5
    assert quintiles(targets[:, [2]]).shape == (10,)
    assert quintiles(targets).tolist() == quintiles(swapped).tolist()


def test_draw_is_sorted_distinct_and_seeded() -> None:
    rows = draw(100, 20, seed=5)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert rows.tolist() == draw(100, 20, seed=5).tolist()
    assert rows.tolist() != draw(100, 20, seed=6).tolist()
    with pytest.raises(ValueError, match="larger"):
        draw(3, 4, seed=0)
