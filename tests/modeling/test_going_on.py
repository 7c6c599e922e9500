"""Units of targets that a kept head gives, and that a task which goes on from it asks for."""

import pytest

from hf_mtl import Regression
from hf_mtl.modeling.going_on import disagreements


def other_units(task: Regression, before: Regression) -> bool:
    found = [str(item) for item in disagreements("score", task, before, "linear")]
    return any("brings targets to other units than those of the head" in item for item in found)


@pytest.mark.parametrize(
    ("before", "task", "differ"),
    [
        (Regression(range=(0, 1)), Regression(range=(0, 1)), False),
        (Regression(range=(0, 1)), Regression(range=(0, 5)), True),
        (Regression(range=(0, 1)), Regression(), True),
        (Regression(range=(0, 1)), Regression(standardize=False), True),
        (Regression(standardize=False), Regression(range=(0, 1)), True),
        (Regression(standardize=False), Regression(standardize=False, loss="mae"), False),
        (Regression(), Regression(standardize=False), True),
        (Regression(), Regression(standardize=True), False),
    ],
)
def test_a_head_is_gone_on_from_in_its_own_units(before: Regression, task: Regression, differ: bool) -> None:
    assert other_units(task, before) == differ
