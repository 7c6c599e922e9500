import math
from typing import Any

import pytest

from hf_mtl.balancing.checks import all_shared, one_for_each, whole
from hf_mtl.errors import UserError


@pytest.mark.parametrize(
    ("values", "expected"), [(0.5, [0.5, 0.5]), ([1, 2], [1.0, 2.0]), ({"a": 3, "b": 4}, [3.0, 4.0])]
)
def test_one_number_is_that_of_every_task_and_others_are_in_their_order(values: Any, expected: list[float]) -> None:
    assert one_for_each(values, 2, "leak") == expected


def test_more_or_fewer_numbers_than_tasks_are_refused() -> None:
    with pytest.raises(UserError, match=r"^leak: found \[1, 2, 3\]\. Allowed: one number for each of 2 tasks\.$"):
        one_for_each([1, 2, 3], 2, "leak")


def test_a_part_of_the_shared_parameters_is_refused_with_the_reason() -> None:
    all_shared("all", "")
    with pytest.raises(UserError, match=r"^scope: found 'last_layer', and it draws\. Allowed: 'all'\.$"):
        all_shared("last_layer", "it draws")


@pytest.mark.parametrize("value", [0, -1, 1.5, math.nan, math.inf])
def test_other_than_a_whole_number_is_refused(value: Any) -> None:
    assert whole(3, "every", at_least=1) == 3
    with pytest.raises(ValueError, match=f"^every is {value}; needs a whole number of at least 1$"):
        whole(value, "every", at_least=1)
