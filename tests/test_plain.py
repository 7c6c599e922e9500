"""Plain values: made of Python's, written, shown."""

import enum
import functools
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from hf_mtl.plain import describe, dotted, dump_yaml, made_plain, shorten


class Color(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (OrderedDict(a=(1,)), {"a": [1]}),
        ({1: 2}, {"1": 2}),
        (Color.RED, "red"),
        (Path("a") / "b", "a/b"),
        (np.float64(0.5), 0.5),
        (np.arange(3), [0, 1, 2]),
        (torch.tensor([1.0, 2.0]), [1.0, 2.0]),
        (True, True),
        (None, None),
    ],
)
def test_values_of_python_are_made_plain(value: object, expected: object) -> None:
    assert made_plain(value) == expected
    assert type(made_plain(value)) is type(expected)


@pytest.mark.parametrize("value", [print, np.ndarray, functools.partial(print)])
def test_what_no_plain_value_stands_for_stays(value: object) -> None:
    assert made_plain(value) is value


def test_a_key_path_is_written_with_dots() -> None:
    assert dotted(("tasks", "a", "dataset", 0)) == "tasks.a.dataset.0"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "nothing (null)"),
        (True, "true"),
        ("a", "'a'"),
        (0.5, "0.5"),
        ({"a": 1}, "{a: 1}"),
        ([1, "x"], "[1, x]"),
        (list(range(100)), "a list"),
        ({str(number): 1 for number in range(100)}, "a mapping"),
        (10**400, "a number of 1,329 bits"),
    ],
)
def test_a_value_is_shown_in_the_words_of_yaml(value: object, expected: str) -> None:
    assert describe(value) == expected


def test_a_long_text_is_cut() -> None:
    assert shorten("x" * 300) == "x" * 200 + "..."
    assert shorten("x") == "x"


def test_words_that_yaml_would_read_as_something_else_are_quoted() -> None:
    assert dump_yaml({"a": "yes", "b": "5e-5", "c": "null"}) == "a: 'yes'\nb: '5e-5'\nc: 'null'\n"
    assert yaml.safe_load(dump_yaml({"a": " x "})) == {"a": " x "}
