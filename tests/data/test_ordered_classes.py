"""The order of classes: given, or told by numbers, and never guessed of words."""

from typing import Any

import pytest
from datasets import ClassLabel

from hf_mtl.data.ordered_classes import gaps, resolve_ordered
from hf_mtl.errors import DataError
from tests.data.labelled import column

STARS = ClassLabel(names=["1", "2", "3"])
WORDS = ClassLabel(names=["bad", "good"])


def ordered(values: list[Any], feature: object = None, labels: list[str] | int | None = None) -> list[str]:
    return resolve_ordered(labels, "label", "a", {"train": column(values, feature)})


@pytest.mark.parametrize(
    ("values", "feature", "labels", "expected"),
    [
        (["x", "y"], None, ["y", "x"], ["y", "x"]),
        ([3, 1, 2, 10, None], None, None, ["1", "2", "3", "10"]),
        ([0.5, -1.0, 2.0], None, None, ["-1", "0.5", "2"]),
        (["10", "9", None], None, None, ["9", "10"]),
        ([0, 1], None, 3, ["LABEL_0", "LABEL_1", "LABEL_2"]),
        ([True, False], None, None, ["False", "True"]),
        ([0, 1, 2], STARS, None, ["1", "2", "3"]),
        ([0, 1], WORDS, 2, ["bad", "good"]),
        ([0, 1], WORDS, ["good", "bad"], ["good", "bad"]),
        ([0, 1], ClassLabel(num_classes=2), None, ["0", "1"]),
    ],
)
def test_the_order_is_given_or_that_of_numbers(
    values: list[Any], feature: object, labels: Any, expected: Any
) -> None:
    assert ordered(values, feature, labels) == expected


@pytest.mark.parametrize(
    ("values", "feature", "labels", "words"),
    [
        (
            ["low", "high"],
            None,
            None,
            "nothing says the order of the classes: train column 'label' has 'high', 'low'",
        ),
        (["1", "high"], None, None, "nothing says the order"),
        (["low", "high"], None, 2, "labels is a number, and train column 'label' has words: 'high', 'low'"),
        ([0, 1], WORDS, None, "the dataset's classes are words, and nothing says which is more: bad, good"),
        ([0, 1, 2], ClassLabel(names=["3", "1", "2"]), None, "nothing says which is more: 3, 1, 2"),
        ([1, 2, -100], None, None, "has -100 among its numbers"),
        ([4, 4], None, None, "has 1 different numbers"),
        (["1", "1.0", "2"], None, None, "2 different numbers in 3 spellings"),
        (list(range(200)), None, None, "has 200 different numbers"),
    ],
)
def test_an_order_that_nothing_tells_is_a_mistake(values: list[Any], feature: Any, labels: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        ordered(values, feature, labels)
    [mistake] = caught.value.mistakes
    assert mistake.key == "tasks.a.labels"
    assert words in mistake.problem
    assert "labels" in mistake.remedy


def test_ranks_of_other_splits_are_ranks_too_and_test_marks_are_none() -> None:
    splits = {"train": column([1, 2]), "validation": column([2, 3]), "test": column([1, -1, -100])}
    assert resolve_ordered(None, "label", "a", splits) == ["1", "2", "3"]


def test_gaps_are_those_of_whole_numbers() -> None:
    assert gaps(["1", "2", "5"]) == [3, 4]
    assert gaps(["1", "2.5", "5"]) == gaps(["a", "c"]) == gaps(["1", "2"]) == []
