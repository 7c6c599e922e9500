"""Reasons that several comparisons share."""

import math

from hf_mtl.experiments.answer.comparing import Comparison
from hf_mtl.experiments.answer.told_once import told_once
from hf_mtl.experiments.evidence import unknown

NOTHING = unknown(math.nan, 0, "seeds")
LABELS = {"a": "a", "b": "b (merged)"}


def lacking(arm: str, task: str | None, *reasons: str) -> Comparison:
    return Comparison(arm, task, NOTHING, NOTHING, math.nan, math.nan, {}, (0, 0, 0), reasons=reasons)


def test_a_reason_of_several_tasks_and_arms_is_one_line_with_all_of_them() -> None:
    each = [lacking(arm, task, f"{arm} on {task}: the same.") for arm in "ab" for task in ("x", "y")]
    assert told_once(each, LABELS) == ["a on x, y; b (merged) on x, y: the same."]
    whole = [lacking(arm, None, f"{arm} over all tasks: the same.") for arm in "ab"]
    assert told_once([*whole, *each[:1]], LABELS) == [
        "a, b (merged) over all tasks: the same.",
        "a on x: the same.",
    ]


def test_other_reasons_stay_as_they_are_and_are_said_once() -> None:
    each = [
        lacking("a", "x", "a on x: one.", "the reference has none."),
        lacking("b", "x", "the reference has none."),
    ]
    assert told_once(each, LABELS) == ["a on x: one.", "the reference has none."]
