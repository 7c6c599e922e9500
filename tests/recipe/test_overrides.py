from typing import Any

import pytest

from hf_mtl.errors import Mistake
from hf_mtl.plain import dotted
from hf_mtl.recipe.nodes import Origin
from hf_mtl.recipe.overrides import apply_overrides
from hf_mtl.recipe.yaml_source import parse_yaml

RECIPE = """
model: {backbone: x, head: {type: vip, beta: 1}}
tasks:
  a: {dataset: [{path: p, name: q}, {path: r}], labels: [x, y]}
  b: {max_rows: 5}
training: {seed: 1}
"""


def apply(*overrides: str) -> tuple[Any, list[Mistake], dict[str, str]]:
    mistakes: list[Mistake] = []
    node = apply_overrides(parse_yaml(RECIPE, Origin("x.yaml", "/folder", 1), []), overrides, mistakes)
    return node.plain(), mistakes, {dotted(path): str(origin) for path, origin in node.origins()}


def test_values_are_yaml_and_come_from_the_command_line() -> None:
    data, mistakes, places = apply(
        "training.learning_rate=1e-4", "tasks.b.max_rows=100", "mixture.temperature=uniform"
    )
    assert mistakes == []
    assert data["training"] == {"seed": 1, "learning_rate": 1e-4}
    assert data["tasks"]["b"] == {"max_rows": 100}
    assert data["mixture"] == {"temperature": "uniform"}
    assert places["tasks.b.max_rows"] == "command line"
    assert places["tasks.b"] == "x.yaml:5"


def test_a_value_may_be_a_mapping_and_hold_equals_signs() -> None:
    data, mistakes, _ = apply("model.head={type: mlp, note: a=b}")
    assert mistakes == []
    assert data["model"]["head"] == {"type": "mlp", "note": "a=b"}


def test_later_ones_win() -> None:
    assert apply("training.seed=2", "training.seed=3")[0]["training"] == {"seed": 3}


def test_null_or_nothing_removes() -> None:
    data, mistakes, _ = apply("tasks.b=null", "training.seed=")
    assert mistakes == []
    assert set(data["tasks"]) == {"a"}
    assert data["training"] == {}


def test_numbers_are_places_in_lists() -> None:
    data, mistakes, places = apply("tasks.a.dataset.1.path=s", "tasks.a.labels.0=z", "tasks.a.dataset.0.name=t")
    assert mistakes == []
    assert data["tasks"]["a"] == {"dataset": [{"path": "p", "name": "t"}, {"path": "s"}], "labels": ["z", "y"]}
    assert places["tasks.a.dataset.1.path"] == "command line"
    assert places["tasks.a.dataset.0.path"] == "x.yaml:4"


def test_another_dataset_or_schedule_in_a_list_inherits_no_options() -> None:
    data, mistakes, _ = apply("tasks.a.dataset.0.path=s", "schedules=[{type: x, at: 1}]", "schedules.0.type=y")
    assert mistakes == []
    assert data["tasks"]["a"]["dataset"] == [{"path": "s"}, {"path": "r"}]
    assert data["schedules"] == [{"type": "y"}]


def test_numbers_are_places_in_lists_within_lists() -> None:
    data, mistakes, _ = apply("tasks.a.dataset.1.data_files=[f, g]", "tasks.a.dataset.1.data_files.0=h")
    assert mistakes == []
    assert data["tasks"]["a"]["dataset"][1] == {"path": "r", "data_files": ["h", "g"]}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "training.seed",
            "command line: found 'training.seed'. Write key=value, such as training.learning_rate=1e-4.",
        ),
        ("=3", "command line: found '=3'. Write key=value, such as training.learning_rate=1e-4."),
        ("a..b=3", "command line: found 'a..b=3'. Write key=value, such as training.learning_rate=1e-4."),
        (
            "tasks.a.labels.2=z",
            "command line: tasks.a.labels.2: no place '2' in a list. The list has places 0 to 1.",
        ),
        (
            "tasks={}",
            "command line: tasks: found {}, which changes nothing. Write null to remove what is inherited, or leave "
            "the key out.",
        ),
    ],
)
def test_malformed_ones_are_mistakes_and_change_nothing(override: str, message: str) -> None:
    data, mistakes, _ = apply(override)
    assert [str(item) for item in mistakes] == [message]
    assert data == apply()[0]


def test_a_value_that_is_no_yaml_is_a_mistake() -> None:
    _, mistakes, _ = apply("training.seed=[1")
    assert [(item.key, item.where) for item in mistakes] == [("training.seed", "command line")]
