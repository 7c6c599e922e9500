from collections.abc import Callable

import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.recipe import json_schema, load_recipe
from tests.recipe.texts import MINIMAL

Write = Callable[..., str]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("lora", "lora"),
        ("{type: ia3}", {"type": "ia3"}),
        ("{type: lora, r: 16, use_dora: true}", {"type": "lora", "r": 16, "use_dora": True}),
        ("{shared: lora, per_task: {type: lora, r: 4}}", {"shared": "lora", "per_task": {"type": "lora", "r": 4}}),
        ("null", None),
    ],
)
def test_peft_is_a_type_its_options_or_adapters_of_tasks(write: Write, value: str, expected: object) -> None:
    recipe = load_recipe(write(MINIMAL), [f"model.peft={value}"])
    assert recipe.model.peft == expected
    assert recipe.to_dict()["model"]["peft"] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{r: 4}", "model.peft.type: missing. Known: hra, ia3, loha, lokr, lora."),
        ("{type: lora, r: 0}", "model.peft.r: found 0. Allowed: at least 1."),
        ("{type: lora, lora_dropout: 1}", "model.peft.lora_dropout: found 1. Allowed: less than 1."),
        (
            "{type: lora, modules_to_save: [heads]}",
            "model.peft.modules_to_save: is an option of peft that is not taken: "
            "the heads are trained and saved in any case. Leave it out.",
        ),
        (
            "{type: adalora}",
            "model.peft.type: 'adalora' prunes its ranks by calls that a training loop of its own makes. "
            "Allowed: hra, ia3, loha, lokr, lora.",
        ),
        (
            "{shared: lora, pertask: lora}",
            "model.peft.pertask: unknown key 'pertask'. Known: per_task, shared. Did you mean 'per_task'?",
        ),
        ("{shared: null}", "model.peft: names no adapter. Give shared or per_task an adapter, such as {type: lora}."),
        (
            "{per_task: {type: lora, use_dora: true}}",
            "model.peft.per_task.use_dora: is not for adapters of single tasks. "
            "Allowed: r, lora_alpha, lora_dropout, use_rslora, target_modules, exclude_modules.",
        ),
        (
            "{per_task: ia3}",
            "model.peft.per_task.type: found 'ia3'. "
            "Only lora can be added token by token, as rows of several tasks need it.",
        ),
        (
            "true",
            "model.peft: found true. "
            "Allowed: a type (hra, ia3, loha, lokr, lora), or a mapping, such as {type: lora, r: 8}.",
        ),
        (
            "[lora]",
            "model.peft: found [lora]. "
            "Allowed: a type (hra, ia3, loha, lokr, lora), or a mapping, such as {type: lora, r: 8}.",
        ),
        (
            "{type: [lora]}",
            "model.peft.type: found [lora] in place of a type. Allowed: hra, ia3, loha, lokr, lora.",
        ),
        (
            "{type: LORA}",
            "model.peft.type: unknown type 'LORA'. Allowed: hra, ia3, loha, lokr, lora. Did you mean 'lora'?",
        ),
        (
            "{per_task: Lora}",
            "model.peft.per_task.type: unknown type 'Lora'. "
            "Allowed: hra, ia3, loha, lokr, lora. Did you mean 'lora'?",
        ),
    ],
)
def test_mistakes_are_said_with_their_key(write: Write, value: str, expected: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe(write(MINIMAL), [f"model.peft={value}"])
    assert [str(item).rstrip(".") for item in error.value.mistakes] == [f"command line: {expected}".rstrip(".")]


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ("true", "Write peft: {type: lora, lora_alpha: 16}"),
        (
            "{rank: 4, alpha: 8, rslora: true, target_modules: [query]}",
            "Write peft: {type: lora, lora_alpha: 8, r: 4, use_rslora: true, target_modules: [query]}",
        ),
        ("null", "Leave it out, or write peft: null"),
    ],
)
def test_what_was_lora_is_told_to_be_peft(write: Write, value: str, remedy: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe(write(MINIMAL), [f"model.lora={value}"])
    (mistake,) = error.value.mistakes
    assert str(mistake) == f"command line: model.lora: is model.peft now. {remedy}"


@pytest.mark.parametrize("key", ["torch_compile", "deepspeed"])
def test_what_does_not_go_with_adapters_of_tasks_is_said_before_anything_is_loaded(write: Write, key: str) -> None:
    value = "true" if key == "torch_compile" else "{zero_optimization: {stage: 2}}"
    changes = [f"training.{key}={value}", "model.peft={shared: lora, per_task: lora}"]
    with pytest.raises(RecipeError, match=rf"training\.{key}: is (on|set), and model\.peft\.per_task"):
        load_recipe(write(MINIMAL), changes)
    if key == "torch_compile":
        assert load_recipe(write(MINIMAL), [changes[0], "model.peft=lora"])


def test_an_inheriting_recipe_may_change_or_remove_adapters(write: Write) -> None:
    write(MINIMAL.replace("backbone}", "backbone, peft: {type: lora, r: 4, lora_alpha: 8}}"), "base.yaml")
    changed = load_recipe(write("extends: base.yaml\nmodel: {peft: {r: 2}}\n")).model.peft
    assert changed == {"type": "lora", "r": 2, "lora_alpha": 8}
    assert load_recipe(write("extends: base.yaml\nmodel: {peft: null}\n")).model.peft is None
    assert load_recipe(write("extends: base.yaml\nmodel: {peft: ia3}\n")).model.peft == "ia3"


def test_the_json_schema_knows_the_types() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="the jsonschema package checks the schema")
    validator = jsonschema.Draft202012Validator(json_schema())

    def valid(peft: object) -> bool:
        return validator.is_valid({"extends": "x.yaml", "model": {"peft": peft}})

    lora = {"type": "lora", "r": 16}
    assert all(map(valid, (None, "lora", lora, {"r": 4}, {"shared": lora, "per_task": "lora"}, {"per_task": lora})))
    assert not any(map(valid, (8, True, "loar", {"type": "loar"}, {"shared": lora, "pertask": lora})))
