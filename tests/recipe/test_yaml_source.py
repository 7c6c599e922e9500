import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.plain import dotted, dump_yaml
from hf_mtl.recipe.nodes import Origin
from hf_mtl.recipe.yaml_source import parse_yaml, read_yaml
from tests.recipe.parsing import ORIGIN, parse


def test_a_key_written_twice_is_a_mistake_with_both_lines() -> None:
    mistakes: list[Mistake] = []
    parse_yaml("a:\n  b: 1\n  c: 2\n  b: 3\n", ORIGIN, mistakes)
    assert [str(item) for item in mistakes] == ["x.yaml:4: a.b: written twice, first at x.yaml:2. Keep one of them."]


def test_syntax_errors_name_the_line() -> None:
    with pytest.raises(RecipeError, match=r"^x\.yaml:3: not valid YAML: .*; begun in line 2\.$"):
        parse_yaml("a: 1\nb: [1, 2\nc: 3\n", ORIGIN, [])
    with pytest.raises(RecipeError, match=r"^x\.yaml:2: not valid YAML: "):
        parse_yaml("a: 1\nb: c: 2\n", ORIGIN, [])


@pytest.mark.parametrize("text", ["a: !!python/object:os.system {}", "a: !!python/name:os.system x", "a: !thing x"])
def test_tags_build_nothing(text: str) -> None:
    mistakes: list[Mistake] = []
    node = parse_yaml(text, ORIGIN, mistakes)
    assert node.plain() == {"a": None}
    assert [item.key for item in mistakes] == ["a"]


def test_a_tag_of_a_key_is_looked_at_too() -> None:
    mistakes: list[Mistake] = []
    parse_yaml("!!bool yes: 1", ORIGIN, mistakes)
    assert [(item.key, item.problem) for item in mistakes] == [("yes", "found 'yes', which is no bool")]


def test_an_alias_that_contains_itself_is_a_mistake() -> None:
    mistakes: list[Mistake] = []
    parse_yaml("a: &x [1, *x]", ORIGIN, mistakes)
    assert [item.key for item in mistakes] == ["a.1"]


def test_aliases_repeat_values() -> None:
    assert parse("a: &x {p: 1}\nb: *x\n") == {"a": {"p": 1}, "b": {"p": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "recipe.yaml: the file is empty. A recipe needs at least model and tasks."),
        ("# nothing\n", "recipe.yaml: the file is empty. A recipe needs at least model and tasks."),
        ("- 1\n", "recipe.yaml:1: found [1]. A recipe is a mapping."),
        ("word\n", "recipe.yaml:1: found 'word'. A recipe is a mapping."),
        ("word " * 99, f"recipe.yaml:1: found '{'word ' * 40}...'. A recipe is a mapping."),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(write: Callable[..., str], text: str, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        read_yaml(write(text), [])
    assert str(error.value) == message


def test_a_missing_file_is_named(write: Callable[..., str]) -> None:
    with pytest.raises(RecipeError) as error:
        read_yaml("absent.yaml", [])
    assert str(error.value) == "absent.yaml: no such file. Give the path of a recipe, a YAML file."


@pytest.mark.parametrize(
    "value",
    [
        "yes",
        "no",
        "1e3",
        "5e-5",
        "012",
        "1_000",
        "null",
        "",
        "a: b",
        "# x",
        "2024-01-01",
        "é ",
        5e-5,
        1e22,
        math.inf,
        True,
    ],
)
def test_what_is_dumped_is_read_back(value: object) -> None:
    assert parse(dump_yaml({"key": [value]})) == {"key": [value]}


# What YAML 1.1, YAML 1.2 or an eye takes for something else, beside every other character.
_SIGNS = st.text(
    st.sampled_from(":#-'\"\\\n\r\t\u0085\u2028~=<>[]{}|&*!%@`.,? 0123456789abcdefoxEe_+TtRrUuNnYy\ufeff😀é")
)
_TEXTS = _SIGNS | st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["0o17", "0x1F", "tRue", "1_000", "1e3", "~", "12:30", "2024-01-01", "=", "<<", "a ", " a", "\u0085", "😀"]
)  # fmt: skip


@settings(deadline=None, max_examples=300, derandomize=True)
@given(st.recursive(_TEXTS, lambda items: st.lists(items, max_size=3) | st.dictionaries(_TEXTS, items, max_size=3)))
def test_text_of_any_kind_is_read_back_as_written(value: Any) -> None:
    assert parse(dump_yaml({"key": value})) == {"key": value}


def test_a_merge_key_takes_the_keys_that_are_not_written_beside_it() -> None:
    text = """\
a: &a {x: 1, y: 2}
b: &b
  y: 3
  z: 4
one:
  <<: *a
  y: 5
many: {<<: [*b, *a], w: 6}
chain: {<<: {<<: *a, x: 7}}
"""
    node = parse_yaml(text, Origin("r.yaml", "/", 1), mistakes := [])
    assert mistakes == []
    plain = node.plain()
    assert (plain["one"], plain["many"]) == ({"x": 1, "y": 5}, {"y": 3, "z": 4, "x": 1, "w": 6})
    assert plain["chain"] == {"x": 7, "y": 2}
    places = {dotted(path): str(origin) for path, origin in node.origins()}
    assert (places["one.x"], places["one.y"], places["many.z"]) == ("r.yaml:1", "r.yaml:7", "r.yaml:4")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: {<<: 3}", "r.yaml:1: a.<<: found '3'. Allowed: an alias of a mapping, such as *defaults, or a list"),
        ("a: {<<: [{b: 1}, 2]}", "r.yaml:1: a.<<: found '2'. Allowed: an alias of a mapping"),
        ("a: &a {<<: *a}", "r.yaml:1: a: an alias that contains itself"),
    ],
)
def test_a_merge_key_of_no_mapping_is_a_mistake(text: str, said: str) -> None:
    mistakes: list[Mistake] = []
    parse_yaml(text, Origin("r.yaml", "/", 1), mistakes)
    assert len(mistakes) == 1
    assert str(mistakes[0]).startswith(said)


def test_a_quoted_merge_key_is_a_word_and_is_written_so() -> None:
    assert parse_yaml('{"<<": 2}', Origin("", "/"), []).plain() == {"<<": 2}
    assert parse_yaml(dump_yaml({"<<": 2, "a": "<<"}), Origin("", "/"), []).plain() == {"<<": 2, "a": "<<"}


def test_a_colon_without_a_blank_in_braces_is_said() -> None:
    mistakes: list[Mistake] = []
    node = parse_yaml("a: {name:fixed, n: 1}", Origin("x.yaml", "", 1), mistakes)
    assert [str(item) for item in mistakes] == [
        "x.yaml:1: a: found 'name:fixed' without a value. Write a blank after the colon: 'name: fixed'."
    ]
    assert node.plain() == {"a": {"n": 1}}


@pytest.mark.parametrize("text", ["{'a:b':}", "{a:b: 1}", "{a: }", "a:b: 1", "{a:b: null}", "['a:b', a:b]"])
def test_a_colon_in_a_key_that_is_meant_stays(text: str) -> None:
    mistakes: list[Mistake] = []
    parse_yaml(text, Origin("x.yaml", "", 1), mistakes)
    assert mistakes == []
