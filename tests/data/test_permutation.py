from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from hf_mtl.data.permutation import derive_key, permute, uniform

KEYS = st.integers(0, 2**64 - 1).map(lambda number: np.array([number], dtype=np.uint64))


@given(size=st.integers(1, 300), key=KEYS)
def test_permute_is_a_bijection(size: int, key: np.ndarray) -> None:
    assert sorted(permute(np.arange(size), size, key).tolist()) == list(range(size))


@pytest.mark.parametrize("size", [2**16, 2**16 + 1, 99_991])
def test_permute_is_a_bijection_of_large_sets(size: int) -> None:
    assert np.array_equal(np.sort(permute(np.arange(size), size, derive_key(3))), np.arange(size))


@given(size=st.integers(1, 10**12), key=KEYS, data=st.data())
def test_an_element_evaluated_alone_is_the_one_evaluated_together(
    size: int, key: np.ndarray, data: st.DataObject
) -> None:
    positions = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=5)))
    together = permute(positions, size, key)
    assert ((together >= 0) & (together < size)).all()
    assert together.tolist() == [int(permute(positions[i : i + 1], size, key)[0]) for i in range(len(positions))]


def test_each_position_may_have_a_key_of_its_own() -> None:
    positions, passes = np.arange(20) % 10, np.arange(20) // 10
    both = permute(positions, 10, derive_key(0, passes))
    for number in range(2):
        assert np.array_equal(both[passes == number], permute(np.arange(10), 10, derive_key(0, number)))
    assert not np.array_equal(both[:10], both[10:])


@pytest.mark.parametrize("size", [2, 3, 4])
def test_all_permutations_of_a_tiny_set_are_equally_likely(size: int) -> None:
    draws = 12_000
    keys = np.repeat(derive_key("shuffles", np.arange(draws)), size)
    drawn = permute(np.tile(np.arange(size), draws), size, keys).reshape(draws, size)
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == set(permutations(range(size)))
    assert chisquare(list(counts.values())).pvalue > 1e-4  # one fixed draw: fails only if the shuffle is skewed


def test_neighbours_do_not_stay_neighbours() -> None:
    shuffled = permute(np.arange(5000), 5000, derive_key(1))
    assert (np.abs(np.diff(shuffled)) == 1).sum() < 15  # two are expected
    assert (shuffled == np.arange(5000)).sum() < 10  # one is expected
    assert abs(np.corrcoef(shuffled, np.arange(5000))[0, 1]) < 5 / np.sqrt(5000)  # five standard deviations


def test_uniforms_are_in_the_half_open_unit_interval() -> None:
    extremes = uniform(np.array([0, 2**64 - 1], dtype=np.uint64))
    assert extremes[0] == 0.0
    assert 1 - 2e-16 < extremes[1] < 1.0


def test_uniforms_of_consecutive_steps_are_uniform_and_uncorrelated() -> None:
    draws = uniform(derive_key(0, "counts", np.arange(20_000)))
    assert chisquare(np.histogram(draws, bins=50, range=(0, 1))[0]).pvalue > 1e-4
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 5 / np.sqrt(20_000)


def test_a_key_depends_on_every_part_and_on_their_order() -> None:
    parts: list[tuple[int | str, ...]] = [(), (0,), (0, 0), (1, 2), (2, 1), ("a",), ("b",), ("a", 1), (1, "a"), (-1,)]
    assert len({int(derive_key(*some)[0]) for some in parts}) == len(parts)


def test_an_array_of_parts_gives_the_keys_of_its_elements() -> None:
    keys = derive_key(5, "rows", np.arange(4))
    assert keys.dtype == np.uint64
    assert keys.tolist() == [int(derive_key(5, "rows", number)[0]) for number in range(4)]


def test_keys_are_the_same_on_every_machine_and_in_every_version() -> None:
    # A checkpoint stores a cursor, not rows: another stream of keys would silently resume on other rows.
    key = derive_key(42, "rows", "emotion", 1)
    assert key.tolist() == [1189079035036959423]
    assert permute(np.arange(10), 10, key).tolist() == [3, 9, 6, 5, 2, 7, 4, 1, 8, 0]
