"""Options from anywhere, checked in the same words."""

from collections import OrderedDict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from pydantic import Field

from hf_mtl.errors import Mistake
from hf_mtl.options import below, by_task_mistakes, parse_options, parse_partly
from hf_mtl.signatures import LARGEST, Options, model_from_signature


def brew(
    cups: Annotated[int, Field(ge=1)] = 1,
    strength: float = 0.5,
    sizes: tuple[int, ...] = (1, 2),
    name: str | None = None,
    extras: dict[str, Any] | None = None,
) -> None:
    """Make coffee."""


MODEL = model_from_signature(brew)


def said(data: object) -> list[str]:
    mistakes: list[Mistake] = []
    assert parse_options(MODEL, data, mistakes, "coffee", "{cups: 2}") is None
    return [str(mistake) for mistake in mistakes]


def read(**options: Any) -> dict[str, Any]:
    mistakes: list[Mistake] = []
    found = parse_options(MODEL, options, mistakes, "coffee")
    assert found is not None, mistakes
    return found.options()


def test_what_python_has_other_words_for_is_accepted_as_yaml_would_be() -> None:
    assert read(sizes=(3, 4)) == read(sizes=[3, 4]) == read(sizes=np.array([3, 4])) == {"sizes": (3, 4)}
    assert read(strength=2) == read(strength=np.float32(2)) == read(strength=torch.tensor(2.0)) == {"strength": 2.0}
    assert read(name=Path("a/b")) == {"name": "a/b"}
    assert read(extras=OrderedDict(a=np.int64(1))) == {"extras": {"a": 1}}


@pytest.mark.parametrize("value", [True, "1", None, 1.5])
def test_a_value_of_another_type_is_no_number(value: Any) -> None:
    [text] = said({"cups": value})
    assert text.startswith("coffee.cups: found ")
    assert text.endswith("Allowed: a whole number.")


def test_what_yaml_cannot_say_is_refused_with_its_place_beside_other_mistakes() -> None:
    assert said({"extras": {"a": [1, len]}, "cups": 0, "name": dict}) == [
        "coffee.extras.a.1: found a builtin_function_or_method. "
        "Allowed: text, numbers, true, false, lists and mappings.",
        "coffee.name: found the class dict. Allowed: text, numbers, true, false, lists and mappings.",
        "coffee.cups: found 0. Allowed: at least 1.",
    ]


@pytest.mark.parametrize("huge", [10**12, -(10**30), 10**400])
def test_whole_numbers_that_count_nothing_are_refused_wherever_they_stand(huge: int) -> None:
    places: dict[str, Any] = {"cups": huge, "strength": huge, "sizes": [huge]}
    for name, value in places.items():
        [text] = said({name: value})
        assert text.startswith(f"coffee.{name}{'.0' if isinstance(value, list) else ''}: found ")
        assert text.endswith(f"Allowed: at most {LARGEST}.")
        assert len(text) < 150
    assert said({"extras": {"a": [1, {"b": (2, huge)}]}})[0].startswith("coffee.extras.a.1.b.1: found ")
    assert read(cups=LARGEST, strength=1e300) == {"cups": LARGEST, "strength": 1e300}


def test_other_than_a_mapping_is_refused_with_an_example() -> None:
    assert said(3) == ["coffee: found 3. Allowed: a mapping, such as {cups: 2}."]
    assert said(None) == ["coffee: found nothing (null). Allowed: a mapping, such as {cups: 2}."]


def test_what_was_parsed_before_comes_back() -> None:
    parsed = MODEL.model_validate({"cups": 3})
    assert parse_options(MODEL, parsed, [], "coffee") is parsed


def test_the_valid_part_of_options_is_kept_to_be_looked_at() -> None:
    mistakes: list[Mistake] = []
    found: Options = parse_partly(MODEL, {"cups": 0, "strength": 0.7, "sugar": 1}, mistakes, "coffee")
    assert found.options() == {"strength": 0.7}
    assert [mistake.key for mistake in mistakes] == ["coffee.cups", "coffee.sugar"]
    assert parse_partly(MODEL, 3, mistakes, "coffee") == MODEL()


def test_a_mistake_of_a_part_moves_to_where_the_part_is() -> None:
    assert below(Mistake("clip", "found 0"), "a.b").key == "a.b.clip"
    assert below(Mistake("", "found 0"), "a.b").key == "a.b"


def test_an_option_by_task_names_each_task_once() -> None:
    assert by_task_mistakes({"b": 1, "a": 2}, "x", ["a", "b"]) == by_task_mistakes(3, "x", ["a"]) == []
    assert [str(mistake) for mistake in by_task_mistakes({"a": 1, "bb": 2}, "x", ["a", "b"])] == [
        "x.bb: unknown task 'bb'. Known: a, b. Did you mean 'b'?",
        "x: nothing for b. Give one value for every task.",
    ]
