"""The construction of an imbalance ratio, against reference values and by its invariants."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_mtl.data.carve import quintiles
from hf_mtl.data.imbalance import imbalance_unit, imbalanced_rows
from hf_mtl.errors import DataError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "imbalance_construction.json").read_text())

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)


def labels_of(counts: list[int]) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts)


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_sizes_and_classes_are_those_of_the_reference(case: dict[str, Any]) -> None:
    inputs, expected = case["inputs"], case["expected"]
    names = [f"task{index}" for index in range(len(inputs["ratio"]))]
    labels = {name: labels_of(counts) for name, counts in zip(names, inputs["class_counts"], strict=True)}
    found = imbalanced_rows(labels, dict(zip(names, inputs["ratio"], strict=True)), seed=3)
    assert found.unit == expected["unit"]
    assert [len(found.rows[name]) for name in names] == expected["task_sizes"]
    for name, sizes in zip(names, expected["class_sizes"], strict=True):
        assert np.bincount(labels[name][found.rows[name]], minlength=len(sizes)).tolist() == sizes
    assert found.distances.total_variation == pytest.approx(expected["total_variation"], abs=1e-15)
    assert found.distances.kl == pytest.approx(0.0, abs=1e-15)


@given(first=LABELS, second=LABELS, seed=st.integers(0, 2**32))
def test_rows_are_drawn_once_in_order_and_in_the_ratio(first: np.ndarray, second: np.ndarray, seed: int) -> None:
    labels = {"large": np.concatenate([first, first]), "small": second}
    found = imbalanced_rows(labels, {"large": 2, "small": 1}, seed)
    assert found.unit == min(len(first), len(second))
    assert len(found.rows["large"]) == 2 * len(found.rows["small"]) == 2 * found.unit
    for name, rows in found.rows.items():
        assert (np.diff(rows) > 0).all()
        assert rows.min() >= 0
        assert rows.max() < len(labels[name])
    again = imbalanced_rows(labels, {"large": 2, "small": 1}, seed)
    assert all(np.array_equal(found.rows[name], again.rows[name]) for name in labels)


def test_a_draw_depends_on_seed_task_and_class_alone() -> None:
    labels = {"a": labels_of([200, 100]), "b": labels_of([200, 100])}
    ratio = {"a": 1, "b": 1}
    found = imbalanced_rows(labels, ratio, 0, unit=60)
    assert not np.array_equal(found.rows["a"], found.rows["b"])
    assert not np.array_equal(found.rows["a"], imbalanced_rows(labels, ratio, 1, unit=60).rows["a"])
    alone = imbalanced_rows({"a": labels["a"]}, {"a": 1}, 0, unit=60)
    assert np.array_equal(found.rows["a"], alone.rows["a"])
    more = {"a": labels_of([200, 100, 150])}  # the same first two classes, and the same quotas of them
    wider = imbalanced_rows(more, {"a": 1}, 0, unit=90).rows["a"]
    assert np.array_equal(wider[wider < 300], found.rows["a"])


def test_class_by_class_a_smaller_draw_is_part_of_a_larger_one() -> None:
    labels = labels_of([300, 50, 7])
    small, large = (set(imbalanced_rows({"a": labels}, {"a": 1}, 5, unit=unit).rows["a"]) for unit in (100, 200))
    assert small < large
    # Largest remainders may give a class fewer rows of a larger total: then the larger draw is the part.
    for name, rows in ((0, labels == 0), (1, labels == 1), (2, labels == 2)):
        for unit in (101, 102, 103):
            other = set(imbalanced_rows({"a": labels}, {"a": 1}, 5, unit=unit).rows["a"])
            mine, theirs = (chosen & set(np.flatnonzero(rows)) for chosen in (small, other))
            assert mine <= theirs or theirs <= mine, name


def test_all_rows_of_a_class_are_as_likely() -> None:
    drawn = np.concatenate([imbalanced_rows({"a": np.zeros(20, int)}, {"a": 1}, s, 5).rows["a"] for s in range(400)])
    # 100 expected of each, with a standard deviation of about 9; seeded, so this does not come and go.
    assert np.abs(np.bincount(drawn, minlength=20) - 100).max() < 45


def test_targets_keep_their_fifths() -> None:
    fifths = quintiles(np.random.default_rng(0).gamma(1.0, size=(1003, 2)))
    found = imbalanced_rows({"a": fifths}, {"a": 1}, 0, unit=51)
    assert sorted(np.bincount(fifths[found.rows["a"]])) == [10, 10, 10, 10, 11]


@pytest.mark.parametrize(
    ("sizes", "ratio", "message"),
    [
        ({"a": 9, "b": 9}, {"a": 1}, "Name the same"),
        ({}, {}, "Name the same"),
        ({"a": 9, "b": 9}, {"a": 8, "b": 0}, "found b: 0. Allowed: at least 1"),
        ({"a": 7, "b": 9}, {"a": 8, "b": 1}, "ratio.a: is 8, and a has 7 training rows"),
    ],
)
def test_a_ratio_that_does_not_fit_is_refused(sizes: dict[str, int], ratio: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        imbalance_unit(sizes, ratio)


def test_the_line_says_how_far_tasks_and_classes_are_from_what_they_should_be() -> None:
    labels = {"a": labels_of([30, 10]), "b": labels_of([3, 2])}
    found = imbalanced_rows(labels, {"a": 7, "b": 1}, 0)
    assert found.to_dict() == {
        "ratio": {"a": 7, "b": 1},
        "unit": 5,
        "rows": {"a": 35, "b": 5},
        "found": {"a": 40, "b": 5},
        "total_variation": 0.0,
        "kl": 0.0,
        "within_tasks": {
            # 26 and 9 of 35 rows, where 30 and 10 of 40 were.
            "a": {"total_variation": pytest.approx(0.75 - 26 / 35), "kl": pytest.approx(0.0001352, rel=1e-3)},
            "b": {"total_variation": 0.0, "kl": 0.0},
        },
    }
    assert found.sentence() == (
        "7:1 of a, b: 35, 5 rows, 5 to a part; total variation 0 and KL divergence 0 from the ratio, within tasks at "
        "most 0.0071 and 0.00014"
    )


@pytest.mark.parametrize("unit", [0, 3])
def test_a_unit_that_the_tasks_cannot_give_is_refused(unit: int) -> None:
    with pytest.raises(DataError, match="1 to 2"):
        imbalanced_rows({"a": np.zeros(16, int), "b": np.zeros(5, int)}, {"a": 8, "b": 1}, 0, unit)
