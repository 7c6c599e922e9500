"""Schedules and learned temperatures in recipes."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from hf_mtl.recipe import Recipe, json_schema, load_recipe
from tests.recipe.refusals import mistakes
from tests.recipe.texts import MINIMAL

Write = Callable[..., str]

SCHEDULES = """\
schedules:
  - alternating
  - {type: mt2st_switch, main: emotion, at: {epoch: 2}, freeze: 3, lr_scale: 0.5}
  - type: warmup
    task: rating
    at: 0.1
training: {eval_strategy: epoch}
"""


def options(recipe: Recipe) -> list[dict[str, Any]]:
    return [item.model_dump(exclude_unset=True) for item in recipe.schedules]


def test_schedules_are_a_list_of_names_and_mappings(write: Write) -> None:
    assert options(load_recipe(write(MINIMAL + SCHEDULES))) == [
        {"type": "alternating"},
        {"type": "mt2st_switch", "main": "emotion", "at": {"epoch": 2.0}, "freeze": 3, "lr_scale": 0.5},
        {"type": "warmup", "task": "rating", "at": 0.1},
    ]
    for nothing in ("", "schedules:\n", "schedules: []\n"):
        recipe = load_recipe(write(MINIMAL + nothing))
        assert recipe.schedules == []
        assert "schedules" not in recipe.to_dict()


def test_a_recipe_comes_back_from_its_yaml(write: Write) -> None:
    recipe = load_recipe(write(MINIMAL + SCHEDULES + "mixture: {learn: {objective: progress, every: 20}}\n"))
    again = load_recipe(write(recipe.to_yaml(), "again.yaml"))
    assert again == recipe
    assert options(again) == options(recipe)
    assert again.mixture.options() == {"learn": {"objective": "progress", "every": 20}}


def test_a_list_replaces_the_one_that_is_inherited(write: Write) -> None:
    write(MINIMAL + SCHEDULES, "base.yaml")
    path = write("extends: base.yaml\nschedules: [{type: alternating, period: 7}]\n", "top.yaml")
    assert options(load_recipe(path)) == [{"type": "alternating", "period": 7}]
    assert load_recipe(path, ["schedules=null"]).schedules == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{type: mt2st_swich, main: emotion}", "schedules.0: unknown schedule 'mt2st_swich'. Known: alternating, "),
        ("alternatin", "schedules.0: unknown schedule 'alternatin'. Known: alternating, "),
        ("{main: emotion}", "schedules.0: found {main: emotion}. Allowed: a name, or a mapping with type and its"),
        ("3", "schedules.0: found 3. Allowed: a name, or a mapping with type and its options. Known: alternating, "),
        ("mt2st_switch", "schedules.0.main: missing. The primary task."),
        ("{type: mt2st_switch, at: 0.5}", "schedules.0.main: missing. The primary task."),
        (
            "{type: mt2st_switch, main: emotoin}",
            "schedules.0.main: unknown task 'emotoin'. Known: emotion, rating. Did you mean 'emotion'?",
        ),
        (
            "{type: enter, task: ratings, at: 0.5}",
            "schedules.0.task: unknown task 'ratings'. Known: emotion, rating. Did you mean 'rating'?",
        ),
        ("{type: leave, task: rating}", "schedules.0.at: missing. A fraction of the run"),
        (
            "{type: mt2st_switch, main: emotion, att: 0.5}",
            "schedules.0.att: unknown key 'att'. Known: at, freed_rows, freeze, lr_scale, main, type. "
            "Did you mean 'at'?",
        ),
        ("{type: mt2st_switch, main: emotion, at: 1.5}", "schedules.0.at: found 1.5. Allowed: at most 1."),
        ("{type: mt2st_switch, main: emotion, at: -1}", "schedules.0.at: found -1. Allowed: at least 0."),
        (
            "{type: mt2st_switch, main: emotion, at: half}",
            "schedules.0.at: found 'half'. Allowed: a number or a mapping.",
        ),
        (
            "{type: mt2st_switch, main: emotion, at: {steps: 3}}",
            "schedules.0.at.steps: unknown key 'steps'. Known: epoch, step. Did you mean 'step'?",
        ),
        ("{type: mt2st_switch, main: emotion, at: {}}", "schedules.0.at: found {}. Allowed: at least 1 items."),
        (
            "{type: mt2st_switch, main: emotion, freeze: heads}",
            "schedules.0.freeze: found 'heads'. Allowed: a whole number or 'embeddings'.",
        ),
        ("{type: alternating, period: 0}", "schedules.0.period: found 0. Allowed: at least 1."),
        ("{type: alternating, period: 2.5}", "schedules.0.period: found 2.5. Allowed: a whole number."),
        (
            "{type: mt2st_diminish, main: emotion, realise: lss}",
            "schedules.0.realise: unknown value 'lss'. Known: loss, sampling. Did you mean 'loss'?",
        ),
        ("{type: mt2st_diminish, main: emotion, nu: 0.5}", "schedules.0.nu: found 0.5. Allowed: at least 1."),
        (
            "{type: mt2st_feedback, main: emotion}",
            "schedules.0: 'mt2st_feedback' follows the validation loss of 'emotion', which is never evaluated. Set "
            "training.eval_strategy, with eval_steps that the run reaches, and give the task a validation split; or "
            "set signal: training",
        ),
    ],
)
def test_a_mistake_is_said_with_its_place(write: Write, line: str, expected: str) -> None:
    path = write(f"{MINIMAL}schedules:\n  - {line}\n")
    [said] = mistakes(path)
    assert said.startswith(f"recipe.yaml:12: {expected}")


def test_mistakes_of_several_schedules_are_said_together(write: Write) -> None:
    path = write(f"{MINIMAL}schedules:\n  - alternatin\n  - alternating\n  - {{type: enter, task: x, at: 2}}\n")
    assert [said.partition(": ")[0] for said in mistakes(path)] == ["recipe.yaml:12", "recipe.yaml:14"]
    assert mistakes(write(MINIMAL), "schedules={type: alternating}") == [
        "command line: schedules: found {type: alternating}. Allowed: a list of schedules, such as "
        "[{type: alternating, period: 50}]."
    ]


@pytest.mark.parametrize("frozen", ["model.freeze=encoder", "model.head=stl_cnn"])
def test_phases_of_a_frozen_encoder_are_refused_before_anything_is_loaded(write: Write, frozen: str) -> None:
    [said] = mistakes(write(MINIMAL + "schedules: [alternating]\n"), frozen)
    assert said.startswith(
        "recipe.yaml:11: schedules.0: 'alternating' alternates, and nothing of the encoder is trained."
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            "{objectiv: dro}",
            "mixture.learn.objectiv: unknown key 'objectiv'. Known: every, lr, objective, penalty, type. "
            "Did you mean 'objective'?",
        ),
        (
            "{objective: dor}",
            "mixture.learn.objective: unknown value 'dor'. Known: dro, expected_loss, progress, worst. "
            "Did you mean 'dro'?",
        ),
        ("{lr: 0}", "mixture.learn.lr: found 0. Allowed: more than 0."),
        ("{penalty: -1}", "mixture.learn.penalty: found -1. Allowed: at least 0."),
        ("{every: 0.5}", "mixture.learn.every: found 0.5. Allowed: a whole number."),
        (
            "{objective: worst}",
            "mixture.learn.objective: 'worst' follows validation metrics, and nothing is evaluated. "
            "Set training.eval_strategy, with eval_steps that the run reaches",
        ),
    ],
)
def test_mistakes_of_a_learned_temperature(write: Write, value: str, expected: str) -> None:
    assert [said.rstrip(".") for said in mistakes(write(MINIMAL), f"mixture.learn={value}")] == [
        f"command line: {expected}".rstrip(".")
    ]


def test_a_learned_temperature_takes_the_place_of_others(write: Write) -> None:
    [said] = mistakes(write(MINIMAL), "mixture={learn: {}, temperature: 3.0}")
    assert said.startswith("command line: mixture.learn: takes the place of mixture.temperature. Give one of them.")
    assert load_recipe(write(MINIMAL), ["mixture.learn={}"]).mixture.options() == {"learn": {}}


def test_a_mixture_by_gradients_is_named_by_its_objective_too(write: Write) -> None:
    recipe = load_recipe(write(MINIMAL), ["mixture.learn={objective: pike, every: 20}"])
    again = load_recipe(write(recipe.to_yaml(), "again.yaml"))
    assert again == recipe
    assert again.mixture.options() == {"learn": {"type": "pike", "objective": "pike", "every": 20}}
    assert load_recipe(write(MINIMAL), ["mixture.learn=pike"]).mixture.options() == {"learn": {"type": "pike"}}


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("model.freeze=encoder", "and none of it is trained"),
        ("training.fsdp=true", "and fsdp has parts of their sum"),
    ],
)
def test_a_mixture_by_gradients_is_refused_where_there_are_none(write: Write, override: str, why: str) -> None:
    said = mistakes(write(MINIMAL), "mixture.learn=pike", override)
    start = "command line: mixture.learn: 'pike' looks at the tasks' gradients of what they share"
    assert any(line.startswith(f"{start}, {why}") for line in said), said


VALID = ["alternating", {"type": "mt2st_switch", "main": "x"}, {"type": "enter", "task": "x", "at": {"step": 3}}]
INVALID = [
    "mt2st_switch",  # needs main
    "nothing",
    None,
    {"type": "mt2st_switch"},
    {"type": "mt2st_switch", "main": "x", "att": 1},
    {"type": "enter", "task": "x", "at": 2},
    {"type": "enter", "task": "x", "at": {}},
    {"main": "x"},
]


def test_the_json_schema_knows_schedules() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="the jsonschema package checks the schema")
    validator = jsonschema.Draft202012Validator(json_schema())

    def valid(item: object) -> bool:
        return validator.is_valid({"extends": "x.yaml", "schedules": [item]})

    assert [item for item in VALID if not valid(item)] == []
    assert [item for item in INVALID if valid(item)] == []
    assert validator.is_valid({"extends": "x.yaml", "schedules": None, "mixture": {"learn": {"lr": 0.1}}})
    for learn in ("pike", {"objective": "pike", "every": 9}, {"type": "pike", "floor": 0.5}):
        assert validator.is_valid({"extends": "x.yaml", "mixture": {"learn": learn}})
    assert not validator.is_valid({"extends": "x.yaml", "mixture": {"learn": {"objective": "pike", "lr": 0.1}}})
    assert not validator.is_valid({"extends": "x.yaml", "mixture": {"learn": {"objective": "dor"}}})
    assert validator.is_valid(yaml.safe_load(MINIMAL + SCHEDULES))
