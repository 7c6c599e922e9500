"""Scalars of YAML 1.2 in recipes."""

import math

import pytest

from hf_mtl.errors import Mistake
from hf_mtl.recipe.scalars import scalar_value
from hf_mtl.recipe.yaml_source import parse_yaml
from tests.recipe.parsing import ORIGIN, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-5", 5e-5),
        ("5.0e-5", 5e-5),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("12", 12),
        ("0x10", 16),
        ("012", 12),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("tRue", "tRue"),
        ("null", None),
        ("~", None),
        ("[yes, no, on, off, y, n]", ["yes", "no", "on", "off", "y", "n"]),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("{no: 1, 1: 2, 1.5: 3}", {"no": 1, "1": 2, "1.5": 3}),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = parse(text)
    assert found == value
    assert type(found) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(parse(".nan"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("!!bool yes", "found 'yes', which is no bool"),
        ("!!bool 1", "found '1', which is no bool"),
        ("!!null none", "found 'none', which is no null"),
        ("!!int 1_000", "found '1_000', which is no int"),
        ("!!int 1.5", "found '1.5', which is no int"),
        ("!!float 1_0.5", "found '1_0.5', which is no float"),
        ("!!float nan", "found 'nan', which is no float"),
        ("!!seq {a: 1}", "the tag 'tag:yaml.org,2002:seq'"),
        ("!!map [a]", "the tag 'tag:yaml.org,2002:map'"),
        ("!!timestamp 2024-01-01", "the tag 'tag:yaml.org,2002:timestamp'"),
        ("9" * 5000, f"found '{'9' * 200}...', which no number here can hold"),
    ],
)
def test_a_tag_before_what_it_cannot_be_is_a_mistake(text: str, problem: str) -> None:
    mistakes: list[Mistake] = []
    assert parse_yaml(f"a: {text}", ORIGIN, mistakes).plain() == {"a": None}
    assert [(item.key, item.problem) for item in mistakes] == [("a", problem)]


def test_a_tag_before_what_it_is_changes_nothing() -> None:
    assert parse('[!!bool "true", !!int "5", !!float 5, !!null "", !!str yes]') == [True, 5, 5.0, None, "yes"]


@pytest.mark.parametrize(("text", "kind"), [("9" * 19, "int"), ("-" + "9" * 19, "int"), ("1e309", "float")])
def test_a_number_beyond_64_bits_is_none(text: str, kind: str) -> None:
    with pytest.raises(OverflowError):
        scalar_value(text, kind)
