from pathlib import Path
from typing import Any

import pytest

from hf_mtl.errors import UserError
from hf_mtl.experiments.compare import costs
from hf_mtl.experiments.compare.cost import Cost
from hf_mtl.experiments.compare.costs import Costs, has_test_rows, untested
from hf_mtl.experiments.compare.load import load_study
from hf_mtl.experiments.compare.trials import trials_of
from hf_mtl.recipe import Recipe
from hf_mtl.recipe.load import recipe_of
from tests.experiments.compare.world import write_study


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """The recipes whose costs were worked out, by their tasks, and whether they were tried."""
    found: list[tuple[str, bool]] = []

    def cost_of(recipe: Recipe, tried: bool, folder: Path) -> Cost:
        found.append(("+".join(recipe.tasks), tried))
        per_step: dict[str, Any] = {"flops_per_step": 10.0 * len(recipe.tasks), "seconds_per_step": 1.0}
        unit = 25 if recipe.data.imbalance else None
        rows = {"topic": 30.0, "mood": 10.0}
        return Cost(6, 1.0, rows, rows, ["topic"], unit=unit, **(per_step if tried else {}))

    monkeypatch.setattr(costs, "cost_of", cost_of)
    return found


def test_each_recipe_is_tried_once_by_whoever_needs_it(tmp_path: Path, asked: list[tuple[str, bool]]) -> None:
    study = load_study(write_study(tmp_path, budget={"equal": "flops"}, seeds=3))
    said: list[str] = []
    steps = {trial.claim: Costs(study, said.append).allowance(trial).steps for trial in trials_of(study)}
    assert said[0].startswith("the base recipe: 6 steps as it is written; a step takes 20 FLOPs and 1000 ms here")
    assert said[1].startswith("single_task, topic: 9 steps at this budget (6 steps as it is written); a step takes")
    # ew is the base with another weighting; uw is the base itself.
    assert asked == [("topic+mood", True), ("topic", True), ("mood", True), ("topic+mood", True)]
    assert steps["single_task,seed-0,topic"] == steps["single_task,seed-2,topic"] == 9  # of 120 operations 90
    assert steps["single_task,seed-0,mood"] == 3
    assert steps["ew,seed-1"] == 6


def test_equal_steps_need_no_try(tmp_path: Path, asked: list[tuple[str, bool]]) -> None:
    study = load_study(write_study(tmp_path))
    found = Costs(study)
    trials = trials_of(study)
    assert [found.allowance(trial).steps for trial in trials] == [4, 2, 6, 6]
    assert asked == [("topic+mood", False)]
    assert [has_test_rows(study, found, trial) for trial in trials] == [True, False, True, True]


def test_a_study_without_test_rows_is_refused_and_a_task_without_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = load_study(write_study(tmp_path))
    tested = ["topic"]
    monkeypatch.setattr(costs, "cost_of", lambda *_: Cost(6, 1.0, {}, {}, tested))
    assert untested(study, Costs(study)) == ["mood"]
    tested.clear()
    study = load_study(write_study(tmp_path, output_dir=str(tmp_path / "other")))
    with pytest.raises(UserError, match="base: no task has test rows.* Set test_fraction for the tasks"):
        untested(study, Costs(study))


def test_a_task_alone_has_the_rows_that_a_ratio_gives_it(tmp_path: Path, asked: list[tuple[str, bool]]) -> None:
    ratio = {"data.imbalance": {"ratio": {"topic": 3, "mood": 1}}}
    study = load_study(write_study(tmp_path, set=ratio))
    found = Costs(study)
    topic = trials_of(study)[0]
    recipe = recipe_of(found.node(topic, found.allowance(topic)))
    assert recipe.data.options() == {"carving_seed": 42, "imbalance": {"ratio": {"topic": 3}, "unit": 25}}
    assert recipe.training.options()["max_steps"] == 4
