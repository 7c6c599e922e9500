from typing import Any

import pytest

from hf_mtl.errors import Mistake
from hf_mtl.plain import dotted
from hf_mtl.recipe.merge import merge
from hf_mtl.recipe.nodes import Node, Origin
from hf_mtl.recipe.yaml_source import parse_yaml


def node(text: str, file: str = "x.yaml") -> Node:
    return parse_yaml(text, Origin(file, "/folder", 1), [])


def merged(base: str, top: str) -> Any:
    mistakes: list[Mistake] = []
    result = merge(node(base), node(top), mistakes)
    assert mistakes == []
    return result.plain()


def test_mappings_merge_and_the_extending_file_wins() -> None:
    assert merged("{a: {b: 1, c: 2}, d: 3}", "{a: {c: 4, e: 5}}") == {"a": {"b": 1, "c": 4, "e": 5}, "d": 3}


def test_lists_are_replaced() -> None:
    assert merged("{a: [1, 2, 3]}", "{a: [4]}") == {"a": [4]}


def test_null_removes_what_was_inherited() -> None:
    assert merged("{tasks: {a: {x: 1}, b: {x: 2}}, mixture: {cap: 1}}", "{tasks: {a: null}, mixture: null}") == {
        "tasks": {"b": {"x": 2}}
    }


def test_null_of_a_split_leaves_it_out_whatever_was_inherited() -> None:
    base = "{tasks: {a: {dataset: %s}}}"
    named, none = "{path: x, splits: {test: rows, train: t}}", "{splits: {test: null}}"
    kept = {"test": None, "train": "t"}
    assert merged(base % named, base % none)["tasks"]["a"]["dataset"]["splits"] == kept
    assert merged(base % "{path: x}", base % none)["tasks"]["a"]["dataset"]["splits"] == {"test": None}
    assert merged(base % named, base % "{splits: null}")["tasks"]["a"]["dataset"] == {"path": "x"}


@pytest.mark.parametrize(("before", "behind"), [("", ""), ("[", "]")])
def test_null_in_a_map_of_labels_is_a_value_without_a_label(before: str, behind: str) -> None:
    base = f"{{tasks: {{a: {{dataset: {before}%s{behind}}}}}}}"
    named, none = "{path: x, map: {label: {0: bad, 4: good}}}", "{path: x, map: {label: {0: null}}}"
    found = merged(base % named, base % none)["tasks"]["a"]["dataset"]
    expected = {"path": "x", "map": {"label": {"0": None} if before else {"0": None, "4": "good"}}}
    assert found == ([expected] if before else expected)  # a list replaces what it inherits


def test_null_in_place_of_a_map_of_labels_removes_it() -> None:
    base = "{tasks: {a: {dataset: %s}}}"
    gone = merged(base % "{path: x, map: {label: {0: bad}}}", base % "{map: {label: null}}")
    assert gone["tasks"]["a"]["dataset"] == {"path": "x", "map": {}}


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
        (
            "{backbone: {model_type: bert, a: 1}}",
            "{backbone: {model_type: gpt2}}",
            {"backbone": {"model_type": "gpt2"}},
        ),
        ("{tokenizer: {train: a, size: 1}}", "{tokenizer: {train: b}}", {"tokenizer": {"train": "b"}}),
    ],
)
def test_what_is_named_differently_inherits_no_options(base: str, top: str, expected: object) -> None:
    assert merged(f"{{model: {base}}}", f"{{model: {top}}}") == {"model": expected}


@pytest.mark.parametrize(
    ("base", "top", "expected"),
    [
        ("{weighting: {name: uw, clip: 1}}", "{weighting: {name: dwa}}", {"weighting": {"name": "dwa"}}),
        ("{aggregator: {name: cagrad, c: 1}}", "{aggregator: {name: mgda}}", {"aggregator": {"name": "mgda"}}),
        ("{aggregator: cagrad}", "{aggregator: {c: 1}}", {"aggregator": {"name": "cagrad", "c": 1}}),
        ("{weighting: uw}", "{weighting: {clip: 1}}", {"weighting": {"name": "uw", "clip": 1}}),
    ],
)
def test_another_method_inherits_no_options(base: str, top: str, expected: object) -> None:
    assert merged(f"{{balancing: {base}}}", f"{{balancing: {top}}}") == {"balancing": expected}


@pytest.mark.parametrize(
    ("base", "top", "expected"),
    [
        ("{head: {type: vip, beta: 1}}", "{head: {type: mlp}}", {"head": {"type": "mlp"}}),
        ("{dataset: {path: hub/x, name: y}}", "{dataset: {path: csv}}", {"dataset": {"path": "csv"}}),
        ("{dataset: {path: csv, name: y}}", "{dataset: {name: z}}", {"dataset": {"path": "csv", "name": "z"}}),
        ("{dataset: [{path: a}]}", "{dataset: {path: b}}", {"dataset": {"path": "b"}}),
        ("{metrics: {name: f1, labels: [a]}}", "{metrics: {name: mcc}}", {"metrics": {"name": "mcc"}}),
    ],
)
def test_another_head_or_dataset_of_a_task_inherits_no_options(base: str, top: str, expected: object) -> None:
    assert merged(f"{{tasks: {{t: {base}}}}}", f"{{tasks: {{t: {top}}}}}") == {"tasks": {"t": expected}}


@pytest.mark.parametrize(
    "name",
    [
        "head",
        "dataset",
        "weighting",
        "aggregator",
        "backbone",
        "tokenizer",
        "type",
        "text",
        "label",
        "extends",
        "path",
    ],
)
def test_a_task_that_is_called_like_a_key_keeps_what_it_inherits(name: str) -> None:
    base = f"{{tasks: {{{name}: {{type: regression, label: score, dataset: {{path: csv, name: y}}}}}}}}"
    top = f"{{tasks: {{{name}: {{type: regression2, path: p, name: n, train: t}}}}}}"
    expected = {
        "type": "regression2",
        "label": "score",
        "dataset": {"path": "csv", "name": "y"},
        "path": "p",
        "name": "n",
        "train": "t",
    }
    assert merged(base, top) == {"tasks": {name: expected}}


@pytest.mark.parametrize(
    ("base", "top", "key"),
    [
        ("{tasks: {a: {x: 1}}}", "{tasks: {}}", "tasks"),
        ("{tasks: {a: {x: 1}}}", "{tasks: {a: {}}}", "tasks.a"),
        ("{training: {options: {a: 1}}}", "{training: {options: {}}}", "training.options"),
        ("{model: {head: vip}}", "{model: {head: {}}}", "model.head"),
    ],
)
def test_a_mapping_without_keys_that_would_change_nothing_is_a_mistake(base: str, top: str, key: str) -> None:
    mistakes: list[Mistake] = []
    merge(node(base), node(top), mistakes)
    assert [str(item) for item in mistakes] == [
        f"x.yaml:1: {key}: found {{}}, which changes nothing. Write null to remove what is inherited, or leave the "
        "key out."
    ]


def test_a_mapping_without_keys_is_none_where_nothing_is_inherited() -> None:
    assert merged("{a: 1}", "{mixture: {}}") == {"a": 1, "mixture": {}}
    assert merged("{mixture: {}}", "{mixture: {}}") == {"mixture": {}}


def test_values_keep_their_origin() -> None:
    result = merge(node("a:\n  b: 1\n  c: 2\n", "base.yaml"), node("# comment\na:\n  c: 4\n", "top.yaml"), [])
    places = {dotted(path): str(origin) for path, origin in result.origins()}
    assert places["a.b"] == "base.yaml:2"
    assert places["a.c"] == "top.yaml:3"
    assert places["a"] == "base.yaml:1"
