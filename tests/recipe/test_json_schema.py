import copy
import json
from typing import Any

import pytest

from hf_mtl.recipe import json_schema
from hf_mtl.recipe.nodes import Origin
from hf_mtl.recipe.yaml_source import parse_yaml
from tests.recipe.texts import FULL, MINIMAL

jsonschema = pytest.importorskip("jsonschema", reason="the jsonschema package checks the schema")


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema.Draft202012Validator(json_schema())


def read(text: str) -> Any:
    return parse_yaml(text, Origin("x.yaml", "/folder", 1), []).plain()


def test_the_schema_is_valid_and_plain_json(validator: Any) -> None:
    schema = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "text",
    [
        MINIMAL,
        FULL,
        "extends: base.yaml\n",
        "extends: base.yaml\ntasks: {a: {head: {share: tone}}, b: {head: {type: vip, beta: 1, share: tone}}}\n",
        "extends: [a.yaml]\nmixture: null\ntasks: {a: {max_rows: 3, labels: null}, b: null}\n",
    ],
)
def test_recipes_are_valid(validator: Any, text: str) -> None:
    assert [error.message for error in validator.iter_errors(read(text))] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("modle", {}),
        ("model.hed", "linear"),
        ("model.head", "linaer"),
        ("model.head", {"type": "mlp", "hiden": 3}),
        ("model.head", {"type": "mlp", "share": "tone"}),
        ("tasks.emotion.head", {"share": 3}),
        ("tasks.emotion.head", {"share": "tone", "hiden": 3}),
        ("model.pooling", "meen"),
        ("tasks.emotion.type", "regresion"),
        ("tasks.emotion.dataset", {"pathh": "x"}),
        ("tasks.emotion.colour", "red"),
        ("mixture.capp", 3),
        ("balancing.weighting", {"name": "uw", "variant": "haf"}),
        ("training.eval_strategy", "epochs"),
        ("training.learning_rat", 1),
    ],
)
def test_mistakes_are_found(validator: Any, path: str, value: object) -> None:
    data = copy.deepcopy(read(FULL))
    *parents, last = path.split(".")
    section = data
    for part in parents:
        section = section[part]
    section[last] = value
    assert list(validator.iter_errors(data))


@pytest.mark.parametrize("key", ["model", "tasks"])
def test_a_recipe_that_extends_nothing_must_be_complete(validator: Any, key: str) -> None:
    data = read(MINIMAL)
    del data[key]
    assert list(validator.iter_errors(data))
    assert not list(validator.iter_errors({**data, "extends": "base.yaml"}))


def test_every_option_of_a_method_is_described() -> None:
    definitions = json_schema()["$defs"]
    missing = [
        f"{name}.{key}"
        for name, schema in definitions.items()
        if "Options" in name or name in ("SequenceClassification", "Regression")
        for key, option in schema["properties"].items()
        if not option.get("description") and key != "type"
    ]
    assert missing == []


def test_keys_that_are_always_refused_are_not_offered() -> None:
    offered = json_schema()["properties"]["training"]["properties"]
    assert "learning_rate" in offered
    assert not {"do_train", "resume_from_checkpoint", "prediction_loss_only"} & set(offered)
