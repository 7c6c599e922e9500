"""What classes weigh: scaled to the rows, and refused where weights and classes do not fit."""

from typing import Any

import numpy as np
import pytest

from hf_mtl.errors import DataError
from hf_mtl.modeling.class_weights import check_weights, fit_weights


def weights_of(given: Any, labels: list[int]) -> list[float]:
    return fit_weights(given, ["a", "b", "c"], np.bincount(labels, minlength=3), "tasks.topic.class_weights")


LABELS = [0, 0, 0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("given", ["balanced", [1.0, 2.0, 5.0], {"c": 5.0, "a": 1.0, "b": 2.0}, [0.0, 1.0, 1.0]])
def test_class_weights_have_a_mean_of_one_over_the_rows(given: Any) -> None:
    weights = np.array(weights_of(given, LABELS))
    assert weights[LABELS].mean() == pytest.approx(1.0)
    if given != "balanced":
        in_order = np.array([given[name] for name in "abc"] if isinstance(given, dict) else given)
        assert weights * in_order[2] == pytest.approx(in_order * weights[2])


def test_balanced_classes_weigh_the_same_in_total() -> None:
    weights = weights_of("balanced", LABELS)
    assert [weight * LABELS.count(i) for i, weight in enumerate(weights)] == pytest.approx([8 / 3] * 3)


def test_a_class_without_rows_weighs_as_the_mean_row_when_balanced() -> None:
    assert weights_of("balanced", [0, 0, 0, 1]) == pytest.approx([4 / 6, 2.0, 1.0])
    assert weights_of([1.0, 1.0, 3.0], [0, 0, 0, 1]) == pytest.approx([1.0, 1.0, 3.0])


def test_weights_that_leave_no_training_row_any_loss_are_refused() -> None:
    with pytest.raises(DataError, match="class_weights: weighs every class that has training rows 0"):
        weights_of([0.0, 0.0, 3.0], [0, 0, 1])


@pytest.mark.parametrize(
    "given",
    [
        [1.0, 2.0],
        [1.0, 2.0, -1.0],
        {"a": 1.0, "b": 2.0},
        {"a": 1.0, "b": 2.0, "c": 1.0, "d": 1.0},
        [1.0, 2.0, np.nan],
    ],
)
def test_class_weights_that_do_not_fit_are_refused(given: Any) -> None:
    with pytest.raises(
        DataError, match=r"tasks.topic.class_weights: found .* Give a weight >= 0 for each of \['a', 'b'"
    ):
        weights_of(given, LABELS)


def test_weights_are_compared_with_the_classes_before_there_are_rows() -> None:
    def said(given: Any) -> list[str]:
        return [str(item) for item in check_weights(given, ["a", "b"], "w")]

    assert said("balanced") == said([1.0, 0.0]) == said({"a": 1.0, "b": 2.0}) == said(None) == []
    assert said([1.0]) == ["w: found 1 weights for 2 classes. Give one for each class."]
    assert said({"a": -1.0, "b": 1.0}) == ["w.a: found -1. Allowed: at least 0."]
    assert said({"a": 1.0}) == ["w: nothing for b. Give one value for every class."]
    assert said({"a": 1.0, "b": 1.0, "bb": 1.0})[0].startswith("w.bb: unknown class 'bb'")
