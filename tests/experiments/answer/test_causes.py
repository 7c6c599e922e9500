"""Why training together may have harmed: each cause where it fits, with its numbers, and none where none does."""

from typing import Any

import pytest

from hf_mtl import balancing
from hf_mtl.experiments.answer.causes import AGGREGATORS, causes_of, last_gain
from hf_mtl.experiments.answer.trials import Trial, Unit
from tests.experiments.answer.records import run

FLAT = [{"step": step, "scores": {"a": 0.6, "b": 0.7}} for step in (100, 200, 300, 400)]
SCORES = {"a": 0.5, "b": 0.6}


def causes(
    joint: dict[str, Any], single: dict[str, Any] | None = None, aggregator: str | None = None
) -> dict[str, str]:
    ours = {Unit(0): Trial((run("ew", 0, SCORES, **{"curve": FLAT, **joint}),))}
    theirs = {Unit(0): Trial((run("single_task", 0, {"a": 0.6}, "a", **{"curve": FLAT, **(single or {})}),))}
    found = causes_of("a", ("ew", ours), ("single_task", theirs), aggregator)
    return {cause.kind: cause.text for cause in found}


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
        ({"cosines": {"b/a": -0.3}}, {}, "conflict", "cosine -0.30 with b; try"),
        (
            {"cosines": {"b/a": -0.3}, "cosine_samples": 8},
            {},
            "conflict",
            "cosine -0.30 with b (8 measurements in 1 run); try",
        ),
        ({"weights": {"a": 0.05, "b": 1.0}}, {}, "weight", "the loss of a has 0.095 of the mean weight"),
        (
            {"rows": {"a": {"train": 80}, "b": {"train": 9000}}},
            {},
            "rows",
            "80 training rows (the largest task 9,000)",
        ),
        ({"contamination": {"a": 90}}, {}, "contamination", "90 of 600 test rows of a stand in training rows"),
        ({"train_losses": {"a": 0.9}}, {}, "underfitting", "training loss ended at 0.9 in ew and 0.4 in single_task"),
    ],
)
def test_each_cause_has_its_numbers(joint: dict[str, Any], single: dict[str, Any], kind: str, said: str) -> None:
    found = causes(joint, single)
    assert list(found) == [kind]
    assert said in found[kind]


@pytest.mark.parametrize(
    "joint",
    [
        {"cosines": {"a/b": 0.1, "b/c": -0.5}, "conflict_rate": 0.6},  # of other tasks
        {"cosines": {"a/b": -0.3}, "cosine_samples": 4},
        {"cosines": {"a/b": -0.04}, "cosine_samples": 40},  # noise
        {"rows": {"a": {"train": 328}, "b": {"train": 309}}},  # all have few
        {"weights": {"a": 0.3, "b": 1.0}},
        {"contamination": {"a": 30}},  # 5% of the rows, of which 10 points cannot come
    ],
)
def test_what_is_not_of_the_task_or_seen_too_seldom_is_no_cause(joint: dict[str, Any]) -> None:
    assert list(causes(joint)) == ["none"]


def test_rows_of_all_tasks_are_means_over_the_seeds() -> None:
    rows = [{"a": {"train": 80}, "b": {"train": most}} for most in (300, 500)]
    ours = {Unit(seed): Trial((run("ew", seed, SCORES, rows=each, curve=FLAT),)) for seed, each in enumerate(rows)}
    [found] = causes_of("a", ("ew", ours), ("single_task", ours))
    assert "80 training rows (the largest task 400)" in found.text


def test_what_was_merged_has_a_cause_of_its_own() -> None:
    merged = {"kind": "merged", "rows": {"a": {"train": 80}, "b": {"train": 9000}}}
    assert list(causes(merged)) == ["merging"]


def test_what_the_reference_has_too_is_no_cause() -> None:
    conflict = {"cosines": {"a/b": -0.1}}
    assert "conflict" not in causes(conflict, conflict)
    assert "conflict" in causes(conflict, {"cosines": {"a/b": -0.01}})
    weights = {"weights": {"a": 0.05, "b": 1.0}}
    assert "weight" not in causes(weights, weights)
    rising = [{"step": step, "scores": {"a": step / 1000}} for step in (100, 200, 300, 400)]
    assert "underfitting" not in causes({"curve": rising}, {"curve": rising})


def test_a_curve_that_still_rises_at_its_end_is_underfitting() -> None:
    rising = [{"step": step, "scores": {"a": step / 1000}} for step in (100, 200, 300, 400)]
    assert last_gain(Trial((run("ew", 0, SCORES, curve=rising),)), "a") == pytest.approx(0.1)
    assert "still rose by 10.0 points in the last quarter" in causes({"curve": rising})["underfitting"]


@pytest.mark.parametrize(
    ("aggregator", "advised"),
    [
        (None, "try a gradient aggregator such as pcgrad, or train a apart."),
        ("pcgrad", "try another gradient aggregator than pcgrad, such as upgrad, or train a apart."),
        ("upgrad", "try another gradient aggregator than upgrad, such as pcgrad, or train a apart."),
    ],
)
def test_an_arm_is_not_told_to_try_the_aggregator_that_it_has(aggregator: str | None, advised: str) -> None:
    assert causes({"cosines": {"a/b": -0.3}}, aggregator=aggregator)["conflict"].endswith(advised)
    assert set(AGGREGATORS) <= set(balancing.available())


@pytest.mark.parametrize(
    "why", [{"weights": {"a": 0.05, "b": 1.0}}, {"passes": {"a": 0.5}}], ids=["weight", "passes"]
)
def test_a_loss_that_ended_higher_is_no_underfitting_where_its_reason_is_known(why: dict[str, Any]) -> None:
    trained_less = {"train_losses": {"a": 0.9}}
    assert list(causes(trained_less)) == ["underfitting"]
    assert list(causes({**trained_less, **why})) in (["weight"], ["passes"])
