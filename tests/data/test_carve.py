import numpy as np
import pytest

from hf_mtl.data.carve import carve, draw, quintiles

KEYS = np.random.default_rng(0).integers(0, 2**64, size=20_000, dtype=np.uint64)


def test_each_split_gets_its_share() -> None:
    chosen = carve(KEYS, {"test": 0.2, "validation": 0.1}, seed=3)
    assert chosen["test"].mean() == pytest.approx(0.2, abs=0.01)
    assert chosen["validation"].mean() == pytest.approx(0.1, abs=0.01)
    assert not (chosen["test"] & chosen["validation"]).any()


def test_a_row_goes_where_its_key_says_whatever_the_other_rows_are() -> None:
    whole, part = (carve(keys, {"validation": 0.3}, seed=1)["validation"] for keys in (KEYS, KEYS[::-7]))
    assert (whole[::-7] == part).all()


@pytest.mark.parametrize(("split", "other"), [("test", "validation"), ("validation", "test")])
def test_a_split_does_not_depend_on_the_fraction_of_the_other(split: str, other: str) -> None:
    alone, beside = carve(KEYS, {split: 0.2}, 0), carve(KEYS, {other: 0.5, split: 0.2}, 0)
    assert list(alone) == [split]
    assert (alone[split] == beside[split]).all()


def test_a_larger_fraction_keeps_the_rows_of_a_smaller_one() -> None:
    small, large = (carve(KEYS, {"validation": share}, 0)["validation"] for share in (0.1, 0.3))
    assert (large | ~small).all()


def test_seeds_draw_independently() -> None:
    first, other = (carve(KEYS, {"validation": 0.5}, seed)["validation"] for seed in (0, 1))
    assert (first == other).mean() == pytest.approx(0.5, abs=0.02)


def test_the_draw_is_the_same_on_every_machine() -> None:
    assert np.flatnonzero(carve(KEYS[:40], {"validation": 0.2}, 0)["validation"]).tolist() == [0, 13, 38]


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
