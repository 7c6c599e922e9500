"""Whole numbers that count nothing are refused where they are given, in every component and in Python too."""

import inspect
from typing import Any

import pytest

from hf_mtl.balancing import aggregator_class, available, build_aggregator, build_weighting, weighting_class
from hf_mtl.data import Mixture
from hf_mtl.errors import UserError, huge_numbers
from hf_mtl.modeling.heads import available_heads, head_mistakes, head_options
from hf_mtl.modeling.lora import lora_mistakes
from hf_mtl.schedules import available_schedules, build_schedule
from tests import tiny

HUGE = (10**12, -(10**30), 10**400)


def options_of(name: str) -> list[str]:
    find: Any = weighting_class if available()[name] == "weighting" else aggregator_class
    return [option for option in inspect.signature(find(name)).parameters if option != "num_tasks"]


@pytest.mark.parametrize("huge", HUGE)
def test_balancing_refuses_them(huge: int) -> None:
    for name in available():
        build: Any = build_weighting if available()[name] == "weighting" else build_aggregator
        for option in options_of(name):
            with pytest.raises(UserError, match=r"balancing\."):
                build(name, 3, **{option: huge})


@pytest.mark.parametrize("huge", HUGE)
def test_schedules_heads_and_adapters_refuse_them(huge: int) -> None:
    for name, cls in available_schedules().items():
        for option in inspect.signature(cls).parameters:
            with pytest.raises(UserError, match=rf"schedules\.{option}"):
                build_schedule({"type": name, option: huge}, ["a", "b"])
    for name in available_heads():
        for option in head_options(name):
            assert head_mistakes({"type": name, option: huge})
    assert lora_mistakes({"rank": huge})


@pytest.mark.parametrize("huge", HUGE)
@pytest.mark.parametrize("option", ["temperature", "cap", "min_per_task"])
def test_the_mixture_refuses_them(huge: int, option: str) -> None:
    with pytest.raises(UserError, match=rf"mixture\.{option}"):
        Mixture({"a": 3, "b": 4}, **{option: huge})  # type: ignore[arg-type]


def test_a_vocabulary_is_no_larger_than_its_ids() -> None:
    with pytest.raises(UserError, match=r"vocab_size: is 1000000000000"):
        tiny.model(config={"vocab_size": 10**12})


def test_they_are_found_in_lists_and_mappings_and_nowhere_else() -> None:
    options = {"a": [1, {"b": (2, 10**10)}], "c": True, "d": 1e300, "e": "text", "f": None, "g": 2**32 - 1}
    assert [mistake.key for mistake in huge_numbers(options, "x")] == ["x.a.b"]
