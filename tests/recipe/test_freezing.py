from collections.abc import Callable

import pytest

from hf_mtl.recipe import json_schema, load_recipe
from tests.recipe.refusals import mistakes
from tests.recipe.texts import MINIMAL

Write = Callable[..., str]
OWN_HEADS = MINIMAL.replace("    labels:", "    head: {type: stl_cnn, widths: [2, 3]}\n    labels:")


@pytest.mark.parametrize(("value", "expected"), [("embeddings", "embeddings"), ("encoder", "encoder"), ("6", 6)])
def test_a_part_or_a_number_of_layers_can_be_frozen(write: Write, value: str, expected: object) -> None:
    recipe = load_recipe(write(MINIMAL), [f"model.freeze={value}"])
    assert recipe.model.freeze == expected
    assert recipe.to_dict()["model"]["freeze"] == expected
    assert load_recipe(write(MINIMAL)).model.freeze is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("encodr", "found 'encodr'. Allowed: a whole number, 'embeddings' or 'encoder'. Did you mean 'encoder'?"),
        ("0", "found 0. Allowed: at least 1."),
        ("true", "found true. Allowed: a whole number, 'embeddings' or 'encoder'."),
    ],
)
def test_mistakes_are_said_with_their_key(write: Write, value: str, expected: str) -> None:
    assert mistakes(write(MINIMAL), f"model.freeze={value}") == [f"command line: model.freeze: {expected}"]


def test_adapters_in_a_frozen_encoder_are_said_before_anything_is_loaded(write: Write) -> None:
    path = write(MINIMAL.replace("backbone}", "backbone, freeze: encoder, peft: lora}"))
    [said] = mistakes(path)
    assert said.startswith(f"{path}:1: model.freeze: encoder, and model.peft")
    assert load_recipe(path, ["model.peft=null"]).model.freeze == "encoder"


def test_heads_for_a_frozen_encoder_are_refused_beside_others(write: Write) -> None:
    path = write(OWN_HEADS)
    assert mistakes(path) == [
        f"{path}:6: tasks.emotion.head: head 'stl_cnn' keeps the encoder frozen, and the heads of rating train it. "
        "Give every task 'stl_cnn', or none, or keep it frozen for all with model.freeze: encoder"
    ]
    for remedy in (
        "tasks.rating.head=stl_cnn",
        "model.head=stl_cnn",
        "tasks.emotion.head=mlp",
        "model.freeze=encoder",
    ):
        load_recipe(path, [remedy])


def test_heads_for_a_frozen_encoder_are_refused_with_another_choice(write: Write) -> None:
    path = write(MINIMAL)
    reason = "but task 'emotion' has head 'stl_cnn', which keeps the encoder frozen."
    assert mistakes(path, "model.head=stl_cnn", "model.freeze=2") == [
        f"command line: model.freeze: found 2, {reason} Write encoder or leave it out"
    ]
    assert mistakes(path, "model.head=stl_cnn", "model.peft={type: lora, r: 4}") == [
        f"command line: model.peft: has adapters to train, {reason} Leave it out or choose another head"
    ]


def test_a_misspelt_head_is_said_once(write: Write) -> None:
    [said] = mistakes(write(OWN_HEADS), "tasks.rating.head=linaer")
    assert "unknown head 'linaer'" in said


def test_the_json_schema_knows_what_can_be_frozen() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="the jsonschema package checks the schema")
    validator = jsonschema.Draft202012Validator(json_schema())

    def valid(freeze: object) -> bool:
        return validator.is_valid({"extends": "x.yaml", "model": {"freeze": freeze}})

    assert all(map(valid, ("embeddings", "encoder", 3, None)))
    assert not any(map(valid, ("layers", 0, 1.5)))
    heads = [{"type": "stl_cnn", "widths": [2]}, {"type": "stl_cnn", "widths": []}]
    found = [validator.is_valid({"extends": "x.yaml", "model": {"head": head}}) for head in heads]
    assert found == [True, False]
