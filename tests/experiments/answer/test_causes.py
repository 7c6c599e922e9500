"""Why training together may have harmed: each cause where it fits, with its numbers, and none where none does."""

from typing import Any

import pytest

from hf_mtl.experiments.answer.causes import causes_of, last_gain
from hf_mtl.experiments.answer.trials import Trial, Unit
from tests.experiments.answer.records import run

FLAT = [{"step": step, "scores": {"a": 0.6, "b": 0.7}} for step in (100, 200, 300, 400)]
SCORES = {"a": 0.5, "b": 0.6}


def causes(joint: dict[str, Any], single: dict[str, Any] | None = None) -> dict[str, str]:
    ours = {Unit(0): Trial((run("ew", 0, SCORES, **{"curve": FLAT, **joint}),))}
    theirs = {Unit(0): Trial((run("single_task", 0, {"a": 0.6}, "a", **{"curve": FLAT, **(single or {})}),))}
    return {cause.kind: cause.text for cause in causes_of("a", ("ew", ours), ("single_task", theirs))}


def test_no_cause_is_invented() -> None:
    measured = {"cosines": {"a/b": 0.2}, "conflict_rate": 0.1, "contamination": {}}
    assert causes(measured) == {"none": "No likely cause found in what was measured."}
    assert causes({"contamination": {}, "curve": []})["none"].endswith(
        "(not measured: cosines of gradients, validation while training)."
    )
    # As records of an older program have it: evaluations without the scores of tasks.
    bare = [{"step": step, "scores": None} for step in (100, 200, 300, 400)]
    assert causes({**measured, "curve": bare, "passes": None, "train_losses": None, "contamination": None})[
        "none"
    ].endswith("(not measured: passes, validation while training, training losses, contamination).")


@pytest.mark.parametrize(
    ("joint", "single", "kind", "said"),
    [
        (
            {"passes": {"a": 1.0}},
            {"passes": {"a": 4.0}},
            "passes",
            "1 times in ew and 4 times in single_task (25%)",
        ),
        ({"cosines": {"b/a": -0.3}, "conflict_rate": 0.6}, {}, "conflict", "cosine -0.30 with b, 60% of pairs"),
        ({"conflict_rate": 0.7}, {}, "conflict", "70% of pairs of tasks in conflict"),
        (
            {"rows": {"a": {"train": 80}, "b": {"train": 9000}}},
            {},
            "rows",
            "80 training rows (the largest task 9,000)",
        ),
        ({"contamination": {"a": 30}}, {}, "contamination", "30 of 600 test rows of a stand in training rows"),
        ({"train_losses": {"a": 0.9}}, {}, "underfitting", "training loss ended at 0.9 in ew and 0.4 in single_task"),
    ],
)
def test_each_cause_has_its_numbers(joint: dict[str, Any], single: dict[str, Any], kind: str, said: str) -> None:
    found = causes(joint, single)
    assert list(found) == [kind]
    assert said in found[kind]


def test_what_the_reference_has_too_is_no_cause() -> None:
    conflict = {"cosines": {"a/b": -0.06}, "conflict_rate": 0.6}
    assert "conflict" not in causes(conflict, {"cosines": {"a/b": -0.06}, "conflict_rate": 0.62})
    assert "conflict" in causes(conflict, {"cosines": {"a/b": -0.01}, "conflict_rate": 0.62})
    assert "conflict" in causes(conflict, {"cosines": {"a/b": -0.06}, "conflict_rate": 0.5})
    rising = [{"step": step, "scores": {"a": step / 1000}} for step in (100, 200, 300, 400)]
    assert "underfitting" not in causes({"curve": rising}, {"curve": rising})


def test_a_curve_that_still_rises_at_its_end_is_underfitting() -> None:
    rising = [{"step": step, "scores": {"a": step / 1000}} for step in (100, 200, 300, 400)]
    assert last_gain(Trial((run("ew", 0, SCORES, curve=rising),)), "a") == pytest.approx(0.1)
    assert "still rose by 10.0 points in the last quarter" in causes({"curve": rising})["underfitting"]
