import math
from typing import Any

import pytest

from hf_mtl.balancing.checks import choice, number, positive, whole


def test_what_is_allowed_comes_back() -> None:
    assert choice("a", ("a", "b", "c"), "mode") == "a"
    assert number(0.0, "c", at_least=0, below=1) == 0.0
    assert number(-3.0, "init") == -3.0
    assert positive(0.5, "mu") == 0.5
    assert whole(3, "every", at_least=1) == 3


@pytest.mark.parametrize(
    ("value", "allowed", "said"),
    [
        ("d", ("a", "b", "c"), "mode is 'd'; needs 'a', 'b' or 'c'"),
        (2, (0, 1), "mode is 2; needs 0 or 1"),
        ("d", ("a",), "mode is 'd'; needs 'a'"),
    ],
)
def test_other_values_are_refused_with_those_that_are_not(value: Any, allowed: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        choice(value, allowed, "mode")


@pytest.mark.parametrize(
    ("bounds", "wrong", "said"),
    [
        ({}, [], "a finite number"),
        ({"above": 0}, [0.0, -1.0], "a positive number"),
        ({"above": 1}, [1.0], "a number above 1"),
        ({"at_least": 0}, [-0.1], "a number of at least 0"),
        ({"at_least": 0, "at_most": 3}, [-0.1, 3.5], "a number from 0 to 3"),
        ({"at_least": 0, "below": 1}, [-0.1, 1.0], "a number from 0 to below 1"),
    ],
)
def test_numbers_out_of_bounds_or_not_finite_are_refused(
    bounds: dict[str, float], wrong: list[float], said: str
) -> None:
    for value in (*wrong, math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match=f"^c is {value}; needs {said}$"):
            number(value, "c", **bounds)


@pytest.mark.parametrize("value", [0, -1, 1.5, math.nan, math.inf])
def test_other_than_a_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=f"^every is {value}; needs a whole number of at least 1$"):
        whole(value, "every", at_least=1)
