"""The balancing section: weighting, aggregator, and what they cannot work with."""

from collections.abc import Callable
from typing import Any

import pytest

from hf_mtl.balancing import DEFAULT_EXACT_ACCUMULATION, GradientOptions
from hf_mtl.recipe import json_schema, load_recipe
from tests.recipe import refusals
from tests.recipe.texts import MINIMAL

Write = Callable[..., str]

ALL = """\
balancing:
  weighting: {name: uw, variant: half}
  aggregator: {name: cagrad, c: 0.2, scope: last_layer}
  exposure: tasks
  exact_accumulation: false
  gradients: {hold: recompute, layout: split, log_every: 0}
"""


def mistakes(path: str, *overrides: str) -> list[str]:
    return [mistake.removeprefix("command line: ") for mistake in refusals.mistakes(path, *overrides)]


def test_one_of_each_family_with_options(write: Write) -> None:
    balancing = load_recipe(write(MINIMAL + ALL)).balancing
    assert balancing.aggregator is not None
    assert (balancing.weighting.chosen, balancing.aggregator.chosen) == ("uw", "cagrad")
    assert balancing.options() == {
        "weighting": {"name": "uw", "variant": "half"},
        "aggregator": {"name": "cagrad", "c": 0.2, "scope": "last_layer"},
        "exposure": "tasks",
        "exact_accumulation": False,
        "gradients": {"hold": "recompute", "layout": "split", "log_every": 0},
    }


def test_defaults_are_those_of_what_uses_them(write: Write) -> None:
    balancing = load_recipe(write(MINIMAL)).balancing
    assert balancing.aggregator is None
    assert balancing.exact_accumulation is DEFAULT_EXACT_ACCUMULATION
    assert balancing.gradients == GradientOptions()
    assert balancing.options() == {}


def test_a_recipe_comes_back_from_its_yaml(write: Write) -> None:
    recipe = load_recipe(write(MINIMAL + ALL))
    again = load_recipe(write(recipe.to_yaml(), "again.yaml"))
    assert again == recipe
    assert again.balancing.options() == recipe.balancing.options()


def test_an_inheriting_recipe_switches_changes_or_removes_the_method(write: Write) -> None:
    write(MINIMAL + ALL, "base.yaml")

    def options(line: str) -> dict[str, Any]:
        return load_recipe(write(f"extends: base.yaml\nbalancing: {line}\n", "top.yaml")).balancing.options()

    assert options("{aggregator: pcgrad}")["aggregator"] == {"name": "pcgrad"}
    assert options("{aggregator: {name: upgrad}}")["aggregator"] == {"name": "upgrad"}
    changed = {"name": "cagrad", "c": 0.5, "scope": "last_layer"}
    assert options("{aggregator: {c: 0.5}}")["aggregator"] == changed
    assert "aggregator" not in options("{aggregator: null}")
    assert options("{gradients: {log_every: 5}}")["gradients"]["hold"] == "recompute"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            "{name: ngdiff, signs: {rating: -1, emotion: 1}}",
            {"name": "ngdiff", "signs": {"emotion": 1.0, "rating": -1.0}},
        ),
        ("{name: ngdiff, signs: [1, -1]}", {"name": "ngdiff", "signs": {"emotion": 1.0, "rating": -1.0}}),
        (
            "{name: graddrop, leak: {rating: 0.5, emotion: 0}}",
            {"name": "graddrop", "leak": {"emotion": 0.0, "rating": 0.5}},
        ),
        ("{name: graddrop, leak: 0.1}", {"name": "graddrop", "leak": 0.1}),
    ],
)
def test_options_by_task_are_in_the_order_of_the_tasks(write: Write, value: str, expected: dict[str, Any]) -> None:
    found = load_recipe(write(MINIMAL), [f"balancing.aggregator={value}"]).balancing.options()["aggregator"]
    assert repr(found) == repr(expected)  # with the order


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("aggregator=pcgard", "aggregator: unknown aggregator 'pcgard'. Known: aligned_mtl, "),
        (
            "aggregator={c: 0.1}",
            "aggregator: found {c: 0.1}. Allowed: a name, or a mapping with name and its options.",
        ),
        ("aggregator=3", "aggregator: found 3. Allowed: a name, or a mapping with name and its options."),
        (
            "aggregator={name: cagrad, rescal: 0}",
            "aggregator.rescal: unknown key 'rescal'. Known: c, name, preferences, rescale, scope. Did you mean ",
        ),
        ("weighting={name: uw, init: 9}", "weighting.init: found 9.0. Allowed: from -5 to 5, as clip says."),
        ("aggregator={name: cagrad, c: 1.5}", "aggregator.c: found 1.5. Allowed: less than 1."),
        ("aggregator={name: nash_mtl, every: 0.5}", "aggregator.every: found 0.5. Allowed: a whole number."),
        ("aggregator={name: upgrad, num_tasks: 2}", "aggregator.num_tasks: unknown key 'num_tasks'. Known: "),
        (
            "aggregator={name: mgda, scope: first}",
            "aggregator.scope: unknown value 'first'. Known: adapters, all, last_layer.",
        ),
        (
            "aggregator={name: graddrop, scope: last_layer}",
            "aggregator.scope: found 'last_layer', and 'graddrop' draws for each parameter. Allowed: 'all'.",
        ),
        ("aggregator={name: sam_mtl, base: mea}", "aggregator.base: unknown base 'mea'. Known: aligned_mtl, "),
        (
            "aggregator={name: sam_mtl, base: nash_mtl}",
            "aggregator.base: found 'nash_mtl', whose result does not shrink with its rows: ",
        ),
        (
            "aggregator={name: cost, scope: last_layer}",
            "aggregator.scope: found 'last_layer', and 'cost' moves all shared parameters. Allowed: 'all'.",
        ),
        ("aggregator={name: ngdiff}", "aggregator.signs: missing. 1 (minimise) or -1 (maximise) for each task"),
        ("aggregator=ngdiff", "aggregator.signs: missing. 1 (minimise) or -1 (maximise) for each task"),
        (
            "aggregator={name: ngdiff, signs: [1]}",
            "aggregator.signs: found [1.0]. Allowed: one number for each of 2 tasks.",
        ),
        (
            "aggregator={name: ngdiff, signs: {emotion: 1, ratng: -1}}",
            "aggregator.signs.ratng: unknown task 'ratng'. Known: emotion, rating. Did you mean 'rating'?",
        ),
        (
            "aggregator={name: graddrop, leak: {emotion: 0.1}}",
            "aggregator.leak: nothing for rating. Give one value for every task.",
        ),
        ("exact_accumulation=1", "exact_accumulation: found 1. Allowed: true or false."),
        ("gradients=3", "gradients: found 3. Allowed: a mapping, such as {log_every: 10}."),
        (
            "gradients={logevery: 3}",
            "gradients.logevery: unknown key 'logevery'. Known: hold, layout, log_every. Did you mean 'log_every'?",
        ),
        (
            "gradients={hold: float16}",
            "gradients.hold: unknown value 'float16'. Known: auto, bfloat16, float32, recompute. "
            "Did you mean 'bfloat16'?",
        ),
        ("gradients={layout: segment}", "gradients.layout: unknown value 'segment'. Known: auto, segments, split. "),
        ("gradients={log_every: -1}", "gradients.log_every: found -1. Allowed: at least 0."),
    ],
)
def test_a_mistake_is_said_with_its_key(write: Write, override: str, expected: str) -> None:
    found = mistakes(write(MINIMAL), f"balancing.{override}")
    assert found[0].startswith(f"balancing.{expected}")


@pytest.mark.parametrize(
    ("override", "other"),
    [
        ("weighting=pcgrad", "aggregator"),
        ("weighting={name: cagrad, c: 0.1}", "aggregator"),
        ("aggregator=uw", "weighting"),
        ("aggregator={name: famo, lr: 0.1}", "weighting"),
    ],
)
def test_a_name_of_the_other_family_is_sent_there(write: Write, override: str, other: str) -> None:
    [said] = mistakes(write(MINIMAL), f"balancing.{override}")
    assert said.startswith(f"balancing.{override.split('=')[0]}: unknown {override.split('=')[0]} '")
    assert said.endswith(f"is of the other family and belongs under balancing.{other}.")


def test_mistakes_of_both_methods_and_their_gradients_come_together(write: Write) -> None:
    text = "balancing:\n  weighting: uv\n  aggregator: pcgard\n  gradients: {hold: x}\n  agregator: x\n"
    found = mistakes(write(MINIMAL + text))
    assert [said.partition(": ")[0] for said in found] == [f"recipe.yaml:{line}" for line in (15, 12, 13, 14)]


@pytest.mark.parametrize(
    "method", ["aggregator={name: upgrad, scope: adapters}", "weighting={name: gradnorm, scope: adapters}"]
)
def test_adapters_decide_only_where_there_are_some(write: Write, method: str) -> None:
    family = method.partition("=")[0]
    [said] = mistakes(write(MINIMAL), f"balancing.{method}")
    assert said == (
        f"balancing.{family}.scope: 'adapters', and the model has none. Set model.peft, or another scope."
    )
    for adapter in ("lora", "{type: lora, r: 4}", "{shared: ia3, per_task: lora}"):
        assert load_recipe(write(MINIMAL), [f"balancing.{method}", f"model.peft={adapter}"])
    assert mistakes(write(MINIMAL), f"balancing.{method}", "model.peft=null")


def test_task_gradients_and_compiling_are_refused_with_the_alternative(write: Write) -> None:
    [said] = mistakes(write(MINIMAL), "balancing.aggregator=pcgrad", "training.torch_compile=true")
    assert said.startswith("training.torch_compile: is on, and 'pcgrad' needs every task's gradient")
    assert load_recipe(write(MINIMAL), ["balancing.weighting=famo", "training.torch_compile=true"])


def test_one_task_in_every_step_is_refused_where_others_are_held_against_a_main_one(write: Write) -> None:
    pcd = "balancing.aggregator={name: pcd, main: emotion}"
    [said] = mistakes(write(MINIMAL), pcd, "mixture.one_task_per_step=true")
    assert said == (
        "mixture.one_task_per_step: is on, and 'pcd' holds the other tasks of a step against the main one. Leave it "
        "out, or leave out the aggregator."
    )
    assert load_recipe(write(MINIMAL), [pcd])
    assert load_recipe(write(MINIMAL), ["balancing.aggregator=pcgrad", "mixture.one_task_per_step=true"])


def test_gradients_of_an_encoder_that_is_not_trained_are_refused(write: Write) -> None:
    [said] = mistakes(write(MINIMAL), "balancing.aggregator=pcgrad", "model.freeze=encoder")
    assert said.startswith("balancing.aggregator: 'pcgrad' needs the gradients of what all tasks share, and none of")
    assert load_recipe(write(MINIMAL), ["balancing.weighting=uw", "model.freeze=encoder"])
    assert load_recipe(write(MINIMAL), ["balancing.aggregator=pcgrad", "model.freeze=1"])


def test_segments_of_a_method_that_goes_task_by_task_are_refused(write: Write) -> None:
    [said] = mistakes(write(MINIMAL), "balancing={aggregator: sam_mtl, gradients: {layout: segments}}")
    assert said.startswith("balancing.gradients.layout: 'segments', and 'sam_mtl' goes task by task")


VALID = [
    {"aggregator": "pcgrad"},
    {"aggregator": {"name": "cagrad", "c": 0.1}},
    {"aggregator": {"c": 0.1}},  # of an inherited method
    {"aggregator": None},
    {"weighting": "famo", "aggregator": {"name": "ngdiff", "signs": {"a": 1}}},
    {"gradients": {"hold": "bfloat16", "log_every": 3}, "exact_accumulation": False},
    {"gradients": None},
]
INVALID = [
    {"aggregator": "pcgard"},
    {"aggregator": "uw"},
    {"weighting": "pcgrad"},
    {"aggregator": {"name": "cagrad", "cc": 0.1}},
    {"aggregator": {"name": "mgda", "scope": "first"}},
    {"gradients": {"hold": "half"}},
    {"gradients": {"log_every": -1}},
    {"gradients": {"logevery": 1}},
    {"exact_accumulation": "no"},
]


def test_the_json_schema_knows_methods_and_their_options() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="the jsonschema package checks the schema")
    validator = jsonschema.Draft202012Validator(json_schema())

    def valid(balancing: object) -> bool:
        return validator.is_valid({"extends": "x.yaml", "balancing": balancing})

    assert [item for item in VALID if not valid(item)] == []
    assert [item for item in INVALID if valid(item)] == []
