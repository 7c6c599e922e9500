"""The ranges of numbers: one set for messages, for editors and for Python."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from hf_mtl.balancing import AGGREGATORS, WEIGHTINGS, available, build_aggregator, build_weighting
from hf_mtl.errors import RecipeError, UserError
from hf_mtl.recipe import json_schema, load_recipe
from tests.recipe.texts import MINIMAL

_LIMITS = ("minimum", "exclusiveMinimum", "enum", "const")
# Signs, starting points and thresholds on either side of 0, and values of a column that may be any.
_ANY = (
    *("ngdiff", "uw.properties.init", "null_threshold", "equals", "one_of", "properties.map", "MetricSpec"),
    "properties.range",
)
# A step out of the range, on either side of it.
_OUTSIDE = {"gt": 0, "ge": -0.5, "lt": 0, "le": 0.5}


def numbers(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place of the schema that takes a number."""
    if isinstance(node, dict):
        if node.get("type") in ("number", "integer"):
            yield path, node
        for key, value in node.items():
            yield from numbers(value, f"{path}.{key}")
    elif isinstance(node, list):
        for value in node:
            yield from numbers(value, path)


def test_every_number_of_the_schema_has_its_range() -> None:
    found = [(path, node) for path, node in numbers(json_schema()) if not any(word in path for word in _ANY)]
    assert [path for path, node in found if not any(limit in node for limit in _LIMITS)] == []
    assert [path for path, node in found if node.get("minimum", 0) < -1] == []


def limited(name: str, family: str) -> Iterator[tuple[str, float]]:
    """The options of a method, each with a value that its range leaves out."""
    section: type[BaseModel] = (WEIGHTINGS if family == "weighting" else AGGREGATORS).options(name)
    for option, field in section.model_fields.items():
        for limits in (item for part in [field.metadata, *_arms(field.annotation)] for item in part):
            for limit, step in _OUTSIDE.items():
                if getattr(limits, limit, None) is not None and abs(getattr(limits, limit)) < 2**32 - 1:
                    yield option, getattr(limits, limit) + step


def _arms(annotation: Any) -> Iterator[list[Any]]:
    for arm in getattr(annotation, "__args__", ()):
        found = getattr(arm, "__metadata__", ())
        yield [limit for item in found for limit in getattr(item, "metadata", [item])]


@pytest.mark.parametrize("name", list(available()))
def test_a_method_refuses_in_python_what_its_range_leaves_out(name: str) -> None:
    family = available()[name]
    build: Callable[..., Any] = build_weighting if family == "weighting" else build_aggregator
    needed = {"fixed": {"weights": [1.0, 1.0]}, "ngdiff": {"signs": [1, 1]}}.get(name, {})
    found = list(limited(name, family))
    assert found or family == "aggregator"  # every weighting has weight_sum
    for option, value in found:
        with pytest.raises(UserError, match=rf"\.{option}: found .*Allowed"):
            build(name, num_tasks=2, **{**needed, option: value})


def test_numbers_out_of_their_range_are_said_all_at_once_with_their_place(write: Callable[..., str]) -> None:
    mixture = "mixture: {temperature: {emotion: 0, rating: 2}, cap: 0, min_per_task: -1}\n"
    training = "training:\n  learning_rate: -1\n  seed: -3\n  adam_beta1: 1.0\n  warmup_steps: -0.1\n"
    weights = MINIMAL.replace("labels: [anger, joy]", "labels: [anger, joy]\n    class_weights: [1, -2]")
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(weights + mixture + training), ["balancing.weighting={name: dwa, temperature: -1}"])
    assert [str(mistake).removeprefix("recipe.yaml:") for mistake in caught.value.mistakes] == [
        "12: mixture.temperature.emotion: found 0. Allowed: more than 0.",
        "12: mixture.cap: found 0. Allowed: at least 1.",
        "12: mixture.min_per_task: found -1. Allowed: at least 0.",
        "command line: balancing.weighting.temperature: found -1. Allowed: more than 0.",
        "14: training.learning_rate: found -1. Allowed: at least 0.",
        "17: training.warmup_steps: found -0.1. Allowed: at least 0.",
        "16: training.adam_beta1: found 1.0. Allowed: less than 1.",
        "15: training.seed: found -3. Allowed: at least 0.",
        "7: tasks.emotion.class_weights.1: found -2. Allowed: at least 0.",
    ]
