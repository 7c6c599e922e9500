"""Recipes of arms and trials, and what of an arm's own values lies in the space."""

from pathlib import Path

import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.experiments.sweep.arms import value_in
from tests.experiments.sweep import worlds

UNEVEN = {"name": "fixed", "weights": {"topic": 0.2, "mood": 0.3, "score": 0.5}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arms")


def test_an_arm_is_the_base_with_what_it_sets_nested_or_dotted(folder: Path) -> None:
    (folder / "dwa.yaml").write_text("balancing: {weighting: dwa}\ntraining: {max_steps: 9, weight_decay: 0.3}\n")
    arms = {
        "nested": {"model": {"dropout": 0.2}, "mixture.anneal.end": 2.0},
        "extending": {"extends": "dwa.yaml", "training.weight_decay": 0.5},
    }
    sweep = worlds.read(folder, arms=arms, set={"training.max_steps": 4})
    nested, extending = (arm.recipe for arm in sweep.arms)
    assert [arm.name for arm in sweep.arms] == ["nested", "extending"]
    assert (nested.model.dropout, value_in(nested, "mixture.anneal.end")) == (0.2, 2.0)
    assert value_in(nested, "training.max_steps") == value_in(extending, "training.max_steps") == 4
    assert value_in(extending, "training.weight_decay") == 0.5
    assert extending.balancing.weighting.chosen == "dwa"


def test_a_trial_has_what_was_drawn_and_its_own_folder(folder: Path) -> None:
    search = {
        "training.learning_rate": {"low": 1e-4, "high": 1e-2},
        "tasks.topic.head": {"choices": ["linear", {"type": "vip", "beta": 0.5}]},
        "mixture": {"anneal": {"end": {"low": 1.0, "high": 5.0}}},
        "schedules": {"choices": [None, [{"type": "mt2st_switch", "main": "topic", "at": 0.5}]]},
    }
    (arm,) = worlds.read(folder, search=search).arms
    head = '{"beta": 0.5, "type": "vip"}'
    schedules = '[{"at": 0.5, "main": "topic", "type": "mt2st_switch"}]'
    drawn = {"training.learning_rate": 0.004, "tasks.topic.head": head, "mixture.anneal.end": 3.5}
    recipe = arm.trial({**drawn, "schedules": schedules}, folder / "trial")
    assert value_in(recipe, "tasks.topic.head.beta") == 0.5
    assert value_in(recipe, "mixture.anneal.end") == 3.5
    assert value_in(recipe, "schedules.0.at") == 0.5
    assert recipe.training.options()["output_dir"] == str(folder / "trial")
    assert arm.trial({}, folder / "trial").to_dict()["balancing"] == arm.recipe.to_dict()["balancing"]


def test_options_of_heads_schedules_and_the_mixture_are_searched_in_what_the_arm_has(folder: Path) -> None:
    arms = {
        "vip": {
            "tasks.topic.head": {"type": "vip", "beta": 0.5},
            "schedules": [{"type": "mt2st_switch", "main": "topic", "at": 0.5}],
        }
    }
    search = {
        "tasks.topic.head.beta": {"low": 0.1, "high": 1.0},
        "schedules.0.at": {"low": 0.2, "high": 0.8},
        "mixture.anneal.start": {"low": 1.0, "high": 2.0},
    }
    (arm,) = worlds.read(folder, arms=arms, search=search).arms
    assert arm.default() == {"tasks.topic.head.beta": 0.5, "schedules.0.at": 0.5, "mixture.anneal.start": 1.0}
    recipe = arm.trial({"tasks.topic.head.beta": 0.25, "schedules.0.at": 0.75}, folder)
    assert value_in(recipe, "tasks.topic.head") == {"type": "vip", "beta": 0.25}
    assert value_in(recipe, "schedules.0.at") == 0.75


def test_drawn_weights_become_a_fixed_weighting(folder: Path) -> None:
    (arm,) = worlds.read(folder, search=None, scalarisation={}).arms
    drawn = {"balancing.weighting.weights.mood": 2.0, "balancing.weighting.weights.score": 1.0}
    weighting = arm.trial(drawn, folder).balancing.weighting
    assert weighting.chosen == "fixed"
    assert weighting.options()["weights"] == pytest.approx({"topic": 0.25, "mood": 0.5, "score": 0.25})


def test_the_default_is_what_the_arm_has_and_what_lies_outside_is_left_out(folder: Path) -> None:
    search = {
        "training.learning_rate": {"low": 1e-4, "high": 1e-2},
        "training.weight_decay": {"low": 0.1, "high": 0.5},  # 0 where nothing is set
        "training.warmup_steps": {"low": 0, "high": 5},
        "balancing.weighting": {"choices": ["ew", {"name": "uw"}]},
        "tasks.topic.head": {"choices": ["linear", "mlp"]},
    }
    (arm,) = worlds.read(folder, search=search).arms
    assert arm.default() == {
        "training.learning_rate": 1e-3,
        "training.warmup_steps": 0,
        "balancing.weighting": '{"name": "uw"}',
    }


def test_trial_0_of_searched_weights_has_equal_ones_whatever_the_base_has(folder: Path) -> None:
    arms = {"ew": {"balancing.weighting": "ew"}, "uw": {}, "mine": {"balancing.weighting": UNEVEN}}
    sweep = worlds.read(folder, search=None, scalarisation={}, arms=arms)
    ew, uw, mine = sweep.arms
    equal = {"balancing.weighting.weights.mood": 1.0, "balancing.weighting.weights.score": 1.0}
    assert ew.default() == uw.default() == equal
    assert (ew.replaced, uw.replaced, mine.replaced) == ("", "uw", "")
    weighting = uw.trial({}, folder).balancing.weighting
    assert weighting.chosen == "fixed"
    assert weighting.options()["weights"] == pytest.approx(dict.fromkeys(("topic", "mood", "score"), 1 / 3))
    assert ew.trial({}, folder).balancing.weighting.chosen == "ew"
    assert mine.trial({}, folder).balancing.weighting.options()["weights"] == UNEVEN["weights"]


def test_values_that_do_not_go_together_say_where_they_come_from(folder: Path) -> None:
    (arm,) = worlds.read(folder).arms
    with pytest.raises(RecipeError, match=r"sweep.yaml:\d+: training.learning_rate: found -1. Allowed: "):
        arm.changed({"training.learning_rate": (-1, arm.dimensions[0].where)})
