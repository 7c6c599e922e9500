from collections.abc import Callable

import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.recipe import json_schema, load_recipe
from tests.recipe.texts import MINIMAL

Write = Callable[..., str]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("true", True),
        ("false", False),
        ("{}", {}),
        ("{rank: 16, alpha: 32, rslora: true}", {"rank": 16, "alpha": 32, "rslora": True}),
        ("{target_modules: [query, value]}", {"target_modules": ["query", "value"]}),
        ("{target_modules: all-linear}", {"target_modules": "all-linear"}),
    ],
)
def test_lora_is_a_switch_or_options(write: Write, value: str, expected: object) -> None:
    recipe = load_recipe(write(MINIMAL), [f"model.lora={value}"])
    assert recipe.model.lora == expected
    assert recipe.to_dict()["model"]["lora"] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            "{rnak: 4}",
            "model.lora.rnak: unknown key 'rnak'. "
            "Known: alpha, dropout, rank, rslora, target_modules. Did you mean 'rank'?",
        ),
        ("{rank: 0}", "model.lora.rank: found 0. Allowed: at least 1."),
        ("{rank: 2.5}", "model.lora.rank: found 2.5. Allowed: a whole number."),
        ("{alpha: 0}", "model.lora.alpha: found 0. Allowed: more than 0."),
        ("{dropout: 1}", "model.lora.dropout: found 1. Allowed: less than 1."),
        ("{rslora: 1}", "model.lora.rslora: found 1. Allowed: true or false."),
        ("{target_modules: query}", "model.lora.target_modules: found 'query'. Allowed: a list or 'all-linear'."),
        ("{target_modules: []}", "model.lora.target_modules: found []. Allowed: at least 1 items."),
        ("8", "model.lora: found 8. Allowed: true or false or a mapping."),
    ],
)
def test_mistakes_are_said_with_their_key(write: Write, value: str, expected: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe(write(MINIMAL), [f"model.lora={value}"])
    assert [str(mistake) for mistake in error.value.mistakes] == [f"command line: {expected}"]


def test_an_inheriting_recipe_may_change_or_remove_lora(write: Write) -> None:
    write(MINIMAL.replace("backbone}", "backbone, lora: {rank: 4, alpha: 8}}"), "base.yaml")
    assert load_recipe(write("extends: base.yaml\nmodel: {lora: {rank: 2}}\n")).model.lora == {"rank": 2, "alpha": 8}
    assert load_recipe(write("extends: base.yaml\nmodel: {lora: null}\n")).model.lora is None
    assert load_recipe(write("extends: base.yaml\nmodel: {lora: true}\n")).model.lora is True


def test_the_json_schema_knows_the_options() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="the jsonschema package checks the schema")
    validator = jsonschema.Draft202012Validator(json_schema())

    def valid(lora: object) -> bool:
        return validator.is_valid({"extends": "x.yaml", "model": {"lora": lora}})

    assert all(map(valid, (True, False, None, {}, {"rank": 16, "target_modules": ["query"]})))
    assert not any(map(valid, (8, {"rnak": 4}, {"rank": 0}, {"target_modules": "query"}, {"target_modules": []})))
