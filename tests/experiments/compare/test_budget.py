from typing import Any

import pytest

from hf_mtl.experiments.compare.budget import Allowance, allowance, within
from hf_mtl.experiments.compare.cost import Cost
from hf_mtl.experiments.compare.single_task import as_node
from hf_mtl.recipe.nodes import Origin

BASE = Cost(100, 2.0, {"a": 300.0, "b": 100.0}, {"a": 300.0, "b": 300.0}, ["a", "b"], 2.0, 10.0, 0.5)
MINE = Cost(100, 2.0, {"a": 300.0, "b": 100.0}, {"a": 300.0, "b": 300.0}, ["a", "b"], 4.0, 25.0, 0.25)


@pytest.mark.parametrize(
    ("equal", "amount", "steps"),
    [("steps", 100, 100), ("backward_passes", 200, 50), ("flops", 1000, 40), ("seconds", 50, 200)],
)
def test_an_arm_may_spend_what_the_base_does(equal: Any, amount: float, steps: int) -> None:
    found = allowance(equal, BASE, MINE, ())
    assert (found.amount, found.steps, found.base_steps) == (amount, steps, 100)


@pytest.mark.parametrize(("equal", "steps"), [("steps", (75, 25)), ("flops", (20, 20))])
def test_single_tasks_share_what_a_joint_run_may_spend(equal: Any, steps: tuple[int, int]) -> None:
    found = [allowance(equal, BASE, MINE, [task]) for task in ("a", "b")]
    assert tuple(item.steps for item in found) == steps
    assert sum(item.amount for item in found) == allowance(equal, BASE, BASE, ()).amount


def test_a_run_has_one_step_at_least() -> None:
    assert allowance("flops", BASE, Cost(9, 1.0, {}, {}, flops_per_step=1e9), ()).steps == 1


def changed(steps: int, alone: bool, **training: Any) -> dict[str, Any]:
    recipe = as_node({"training": training}, Origin("x", "/"))
    found: dict[str, Any] = within(recipe, Allowance("flops", 1.0, steps, 1000, 2.5), alone).plain()["training"]
    return found


def test_a_shorter_run_is_evaluated_as_often_and_at_its_end() -> None:
    every: dict[str, Any] = {"eval_strategy": "steps", "eval_steps": 200, "save_steps": 400, "logging_steps": 50}
    found = changed(333, True, warmup_steps=100, num_train_epochs=3, max_flops=1e9, **every)
    assert found == {
        "eval_strategy": "steps",
        "eval_steps": 66,
        "save_steps": 132,
        "logging_steps": 16,
        "warmup_steps": 33,
        "max_steps": 333,
    }
    assert 333 // found["eval_steps"] == 1000 // 200


def test_a_run_as_long_as_the_base_keeps_its_steps_and_shares_stay_shares() -> None:
    given = {"eval_strategy": "steps", "eval_steps": 200, "warmup_steps": 10}
    assert changed(1000, False, **given) == {**given, "max_steps": 1000}
    assert changed(500, False, eval_strategy="steps", eval_steps=0.1, save_steps=0.1, warmup_steps=0.1) == {
        "eval_strategy": "steps",
        "eval_steps": 0.1,
        "save_steps": 0.1,
        "warmup_steps": 0.1,
        "max_steps": 500,
    }


def test_epochs_of_all_tasks_are_no_epochs_of_one() -> None:
    found = changed(250, True, eval_strategy="epoch", save_strategy="epoch")
    assert found == {
        "eval_strategy": "steps",
        "eval_steps": 100,
        "save_strategy": "steps",
        "save_steps": 100,
        "max_steps": 250,
    }
    assert changed(500, False, eval_strategy="epoch", save_strategy="epoch")["eval_strategy"] == "epoch"
