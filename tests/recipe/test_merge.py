from collections.abc import Callable
from typing import Any

import pytest

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.recipe.merge import merge, read_extended
from hf_mtl.recipe.yaml_source import Node, Origin, dotted, parse_yaml


def node(text: str, file: str = "x.yaml") -> Node:
    return parse_yaml(text, Origin(file, "/folder", 1), [])


def merged(base: str, top: str) -> Any:
    return merge(node(base), node(top)).plain()


def test_mappings_merge_and_the_extending_file_wins() -> None:
    assert merged("{a: {b: 1, c: 2}, d: 3}", "{a: {c: 4, e: 5}}") == {"a": {"b": 1, "c": 4, "e": 5}, "d": 3}


def test_lists_are_replaced() -> None:
    assert merged("{a: [1, 2, 3]}", "{a: [4]}") == {"a": [4]}


def test_null_removes_what_was_inherited() -> None:
    assert merged("{tasks: {a: {x: 1}, b: {x: 2}}, mixture: {cap: 1}}", "{tasks: {a: null}, mixture: null}") == {
        "tasks": {"b": {"x": 2}}
    }


def test_null_that_removes_nothing_stays() -> None:
    assert merged("{a: 1}", "{b: null}") == {"a": 1, "b": None}


@pytest.mark.parametrize(
    ("base", "top", "expected"),
    [
        ("{head: {type: vip, beta: 1}}", "{head: {type: mlp}}", {"head": {"type": "mlp"}}),
        ("{head: {type: vip, beta: 1}}", "{head: {beta: 2}}", {"head": {"type": "vip", "beta": 2}}),
        ("{head: {type: vip, beta: 1}}", "{head: {type: vip, x: 2}}", {"head": {"type": "vip", "beta": 1, "x": 2}}),
        ("{head: {type: vip, beta: 1}}", "{head: linear}", {"head": "linear"}),
        ("{head: vip}", "{head: {beta: 2}}", {"head": {"type": "vip", "beta": 2}}),
        ("{head: vip}", "{head: {type: mlp, x: 2}}", {"head": {"type": "mlp", "x": 2}}),
        ("{weighting: {name: uw, clip: 1}}", "{weighting: {name: dwa}}", {"weighting": {"name": "dwa"}}),
        ("{aggregator: {name: cagrad, c: 1}}", "{aggregator: {name: mgda}}", {"aggregator": {"name": "mgda"}}),
        ("{aggregator: cagrad}", "{aggregator: {c: 1}}", {"aggregator": {"name": "cagrad", "c": 1}}),
        ("{weighting: uw}", "{weighting: {clip: 1}}", {"weighting": {"name": "uw", "clip": 1}}),
        ("{dataset: {path: hub/x, name: y}}", "{dataset: {path: csv}}", {"dataset": {"path": "csv"}}),
        ("{dataset: {path: csv, name: y}}", "{dataset: {name: z}}", {"dataset": {"path": "csv", "name": "z"}}),
        (
            "{backbone: {model_type: bert, a: 1}}",
            "{backbone: {model_type: gpt2}}",
            {"backbone": {"model_type": "gpt2"}},
        ),
        ("{dataset: [{path: a}]}", "{dataset: {path: b}}", {"dataset": {"path": "b"}}),
    ],
)
def test_what_is_named_differently_inherits_no_options(base: str, top: str, expected: object) -> None:
    assert merged(f"{{model: {base}}}", f"{{model: {top}}}") == {"model": expected}


def test_values_keep_their_origin() -> None:
    result = merge(node("a:\n  b: 1\n  c: 2\n", "base.yaml"), node("# comment\na:\n  c: 4\n", "top.yaml"))
    places = {dotted(path): str(origin) for path, origin in result.origins()}
    assert places["a.b"] == "base.yaml:2"
    assert places["a.c"] == "top.yaml:3"
    assert places["a"] == "base.yaml:1"


def test_chains_and_lists_of_recipes_are_merged_in_order(write: Callable[..., str]) -> None:
    write("a: 1\nb: 1\nc: 1\nd: 1\n", "sub/root.yaml")
    write("extends: root.yaml\nb: 2\nc: 2\nd: 2\n", "sub/middle.yaml")
    write("c: 3\nd: 3\n", "other.yaml")
    top = write("extends: [sub/middle.yaml, other.yaml]\nd: 4\n", "top.yaml")
    mistakes: list[Mistake] = []
    result = read_extended(top, mistakes)
    assert mistakes == []
    assert result.plain() == {"a": 1, "b": 2, "c": 3, "d": 4}
    places = {dotted(path): str(origin) for path, origin in result.origins()}
    assert places == {
        "": "top.yaml:1",
        "a": "sub/root.yaml:1",
        "b": "sub/middle.yaml:2",
        "c": "other.yaml:1",
        "d": "top.yaml:2",
    }


def test_one_base_may_be_reached_twice(write: Callable[..., str]) -> None:
    write("a: 1\n", "root.yaml")
    write("extends: root.yaml\nb: 2\n", "left.yaml")
    write("extends: root.yaml\nc: 3\n", "right.yaml")
    top = write("extends: [left.yaml, right.yaml]\n", "top.yaml")
    assert read_extended(top, []).plain() == {"a": 1, "b": 2, "c": 3}


def test_a_circle_is_refused(write: Callable[..., str]) -> None:
    write("x: 1\nextends: b.yaml\n", "a.yaml")
    write("extends: a.yaml\n", "b.yaml")
    with pytest.raises(RecipeError) as error:
        read_extended("a.yaml", [])
    assert str(error.value) == (
        "b.yaml:1: extends: a circle: a.yaml -> b.yaml -> a.yaml. A recipe cannot extend itself."
    )


def test_a_missing_base_is_said_where_it_is_named(write: Callable[..., str]) -> None:
    path = write("a: 1\nextends: nowhere.yaml\n", "sub/top.yaml")
    with pytest.raises(RecipeError) as error:
        read_extended(path, [])
    assert str(error.value) == "sub/top.yaml:2: extends: no such file: 'nowhere.yaml'. It is relative to sub."


def test_extends_must_be_a_file_or_a_list_of_files(write: Callable[..., str]) -> None:
    mistakes: list[Mistake] = []
    read_extended(write("extends: {a: 1}\nb: 2\n"), mistakes)
    assert [str(item) for item in mistakes] == [
        "recipe.yaml:1: extends: found {a: 1}. Allowed: a file, or a list of files."
    ]
