"""Every key of a recipe, where it does not belong: the hint leads to a place that takes it."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from hf_mtl.argument_fields import FORMER
from hf_mtl.errors import Mistake
from hf_mtl.recipe.build import build_recipe
from hf_mtl.recipe.json_schema import json_schema
from hf_mtl.validation import MOST_MISTAKES

RECIPE: dict[str, Any] = {
    "model": {"backbone": "some/backbone"},
    "tasks": {
        "emotion": {"type": "sequence_classification", "dataset": {"path": "some/data"}},
        "rating": {"type": "regression", "dataset": {"path": "some/data"}},
    },
}
SCHEMA = json_schema()
SECTIONS = ("model", "data", "mixture", "balancing", "baselines", "training")
TASK = ("tasks", "emotion")
HINT = re.compile(r"(?:write|in each task:|of each task:) (\S+)\.$")


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield the mappings that a value may be."""
    if "$ref" in schema:
        yield from nodes(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    for arm in schema.get("anyOf", ()):
        yield from nodes(arm)
    if "properties" in schema or isinstance(schema.get("additionalProperties"), dict):
        yield schema


def below(schemas: list[Any], part: str) -> list[Any]:
    """Return what may stand at a key; a mapping of names takes those of the recipe's tasks, and NAME."""
    found = [
        node["properties"][part] for schema in schemas for node in nodes(schema) if part in node.get("properties", {})
    ]
    named = [node["additionalProperties"] for schema in schemas for node in nodes(schema) if "properties" not in node]
    return found + (named if part in ("NAME", "emotion", "rating", "other") else [])


def keys_at(*path: str) -> set[str]:
    schemas: list[Any] = [SCHEMA]
    for part in path:
        schemas = below(schemas, part)
    return {key for schema in schemas for node in nodes(schema) for key in node.get("properties", {})}


def told(place: tuple[str, ...], names: list[str]) -> dict[str, Mistake]:
    """Return the mistakes of keys at a place, by their names."""
    found: dict[str, Mistake] = {}
    for start in range(0, len(names), MOST_MISTAKES - 5):
        recipe = deepcopy(RECIPE)
        at = recipe
        for part in place:
            at = at.setdefault(part, {})
        at.update(dict.fromkeys(names[start : start + MOST_MISTAKES - 5], 0.25))
        mistakes: list[Mistake] = []
        build_recipe(recipe, mistakes)
        unknown = [item for item in mistakes if item.problem.startswith("unknown key")]
        found |= {item.key.rpartition(".")[2]: item for item in unknown}
    return found


PLACES = [(), *((section,) for section in SECTIONS), TASK, (*TASK, "dataset"), ("data", "beside", "other")]
NESTED = [
    ("mixture", "anneal"),
    ("model", "tokenizer"),
    ("data", "fold"),
    ("data", "imbalance"),
    (*TASK, "dataset", "filter"),
]


def lacking(above: list[str], place: tuple[str, ...], name: str) -> set[str]:
    """Return the keys that a place that is not in the recipe needs beside one."""
    given: Any = RECIPE
    for part in above:
        part = TASK[1] if part == "NAME" else part
        given = given.get(part) if isinstance(given, dict) else None
    if given is not None or tuple(above) == place[: len(above)]:
        return set()
    schemas: list[Any] = [SCHEMA]
    for part in above:
        schemas = below(schemas, part)
    holding = [node for schema in schemas for node in nodes(schema) if name in node.get("properties", {})]
    return {key for node in holding for key in node.get("required", ())} - {name}


@pytest.mark.parametrize("place", [*PLACES, *NESTED], ids=".".join)
def test_the_hint_of_a_key_in_a_wrong_place_is_a_place_of_the_schema(place: tuple[str, ...]) -> None:
    every = {key for other in [*PLACES[1:], *NESTED] for key in keys_at(*other)}
    if place[:1] in (("tasks",), ("data",)) and len(place) > 1:
        every -= {"type"}  # it decides which keys there are
    for name, mistake in told(place, sorted(every - keys_at(*place))).items():
        if found := HINT.search(mistake.remedy or ""):
            *above, last = found[1].split(".")
            assert last == name
            assert last in keys_at(*above), mistake
            assert not lacking(above, place, last), mistake


def test_every_key_of_a_section_or_a_task_is_found_from_any_other() -> None:
    for place in PLACES[:8]:
        for home in [(section,) for section in SECTIONS if (section,) != place] + [TASK] * (place != TASK):
            keys = keys_at(*home) - keys_at(*place) - {*SECTIONS, *(FORMER if place == ("training",) else ())}
            for mistake in told(place, sorted(keys)).values():
                assert HINT.search(mistake.remedy or ""), mistake


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("data.test_fraction", "Set it in each task: tasks.NAME.test_fraction."),
        ("validation_fraction", "Set it in each task: tasks.NAME.validation_fraction."),
        ("data.data_files", "Set it in the dataset of each task: tasks.NAME.dataset.data_files."),
        ("tasks.emotion.learning_rate", "It belongs to training: write training.learning_rate."),
        ("tasks.emotion.dataset.test_fraction", "It belongs to tasks.emotion: write tasks.emotion.test_fraction."),
        ("tasks.emotion.splits", "It belongs to dataset: write tasks.emotion.dataset.splits."),
        ("model.tokenizer.pooling", "It belongs to model: write model.pooling."),
        ("training.temperature", "It belongs to mixture: write mixture.temperature."),
        ("data.seed", "It belongs to training: write training.seed."),
    ],
)
def test_a_key_that_belongs_elsewhere_is_sent_there(key: str, said: str) -> None:
    *place, name = key.split(".")
    assert told(tuple(place), [name])[name].remedy == said


@pytest.mark.parametrize("key", ["tasks.rating.labels", "tasks.rating.dataset.filter.label", "data.number"])
def test_a_key_whose_place_is_not_sure_is_sent_nowhere(key: str) -> None:
    *place, name = key.split(".")
    assert (told(tuple(place), [name])[name].remedy or "").startswith("Known: ")


def test_a_section_that_needs_other_keys_is_a_place_where_the_recipe_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPE, "data", {"fold": {"of": 5}})
    assert told(("data",), ["number"])["number"].remedy == "It belongs to fold: write data.fold.number."
