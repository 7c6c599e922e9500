"""Ranges and choices: what is read, drawn, and refused."""

from typing import Any

import optuna
import pytest

from hf_mtl.errors import Mistake
from hf_mtl.experiments.sweep.space import Choice, Dimension, Range, parse_dimension
from hf_mtl.recipe.nodes import Origin

WHERE = Origin("sweep.yaml", "/", 3)


def parsed(spec: Any) -> Dimension:
    mistakes: list[Mistake] = []
    found = parse_dimension("a.b", spec, WHERE, mistakes)
    assert mistakes == []
    assert found is not None
    return found


def drawn(dimension: Dimension, count: int = 50) -> list[Any]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [dimension.value(dimension.suggest(study.ask())) for _ in range(count)]


def test_a_range_is_whole_where_all_that_is_written_is_whole() -> None:
    whole = drawn(parsed({"low": 1, "high": 8}))
    assert all(type(value) is int for value in whole)
    assert set(whole) == set(range(1, 9))
    assert all(type(value) is float for value in drawn(parsed({"low": 1.0, "high": 8})))
    assert set(drawn(parsed({"low": 2, "high": 8, "step": 3}))) == {2, 5, 8}
    assert set(drawn(parsed({"low": 0.0, "high": 0.5, "step": 0.25}))) == {0.0, 0.25, 0.5}


def test_a_logarithmic_range_has_as_many_values_in_each_decade() -> None:
    values = drawn(parsed({"low": 1e-6, "high": 1e-2, "log": True}), count=400)
    assert 160 < sum(value < 1e-4 for value in values) < 240


def test_choices_are_of_any_kind() -> None:
    choices = ["uw", None, 3, True, {"name": "dwa", "temperature": 1.0}, [1, 2]]
    found = drawn(parsed({"choices": choices}), count=100)
    assert all(choice in found for choice in choices)
    assert all(value in choices for value in found)


@pytest.mark.parametrize(
    ("spec", "value", "found"),
    [
        ({"low": 1, "high": 8}, 8, 8),
        ({"low": 1, "high": 8}, 9, None),
        ({"low": 1, "high": 8}, 2.5, None),
        ({"low": 1, "high": 8}, True, None),
        ({"low": 1, "high": 8}, None, None),
        ({"low": 1, "high": 9, "step": 4}, 4, None),
        ({"low": 1, "high": 9, "step": 4}, 5, 5),
        ({"low": 0.0, "high": 1.0}, 1, 1.0),
        ({"choices": ["uw", {"name": "ew"}]}, {"name": "uw"}, "uw"),
        ({"choices": ["uw", {"name": "ew"}]}, "ew", '{"name": "ew"}'),
        ({"choices": ["uw", {"name": "ew"}]}, "dwa", None),
    ],
)
def test_a_value_of_the_recipe_is_found_in_the_space_or_not(spec: Any, value: Any, found: Any) -> None:
    assert parsed(spec).drawn(value) == found


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, [".low: missing. Give {low: ..., high: ...}, or", ".high: missing."]),
        ({"low": 1}, [".high: missing."]),
        (
            {"lwo": 1, "high": 2},
            [".lwo: unknown key 'lwo'. Known: choices, high, log, low, step. Did you mean 'low'?"],
        ),
        ({"low": 2, "high": 1}, [": found low 2 and high 1. Allowed: high above low."]),
        ({"low": 0, "high": 1.0, "log": True}, [".low: found 0 with log: true. Allowed: more than 0."]),
        ({"low": 1, "high": 9, "log": True, "step": 2}, [".step: found with log: true. Give one of them."]),
        ({"low": 1, "high": 9, "step": 3}, [".step: found 3. Allowed: a part of high - low, 8."]),
        ({"low": "1", "high": 9}, [".low: found '1'. Allowed: a whole number or a number."]),
        ({"choices": []}, [".choices: is empty."]),
        ({"choices": ["a", "a"]}, [".choices: has 'a' more than once. Keep one."]),
        ({"choices": [1], "low": 1}, [".low: does nothing beside choices."]),
        (3, [": found 3. Allowed: a mapping."]),
    ],
)
def test_what_is_no_space_is_refused(spec: Any, said: list[str]) -> None:
    mistakes: list[Mistake] = []
    assert parse_dimension("a.b", spec, WHERE, mistakes) is None
    assert [str(item)[: len(start) + len("search.a.b")] for item, start in zip(mistakes, said, strict=True)] == [
        f"search.a.b{start}" for start in said
    ]


def test_a_space_says_itself() -> None:
    assert str(parsed({"low": 1e-5, "high": 1e-3, "log": True})) == "1e-05 to 0.001, log"
    assert str(parsed({"low": 1, "high": 9, "step": 4})) == "1 to 9 whole, step 4"
    assert str(Choice("a", WHERE, ("uw", None, {"name": "dwa"}))) == "uw, nothing (null), {name: dwa}"
    assert Range("a", WHERE, 1, 2).corners() == [1, 2]
