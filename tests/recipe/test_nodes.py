"""Values that know where they were written."""

from hf_mtl.plain import dotted
from hf_mtl.recipe.nodes import Node, Origin
from hf_mtl.recipe.yaml_source import parse_yaml
from tests.recipe.parsing import ORIGIN


def test_every_key_path_knows_its_line() -> None:
    text = "a:\n  b: 1\n  c:\n    - x\n    - d: 2\n"
    lines = {dotted(path): origin.line for path, origin in parse_yaml(text, ORIGIN, []).origins()}
    assert lines == {"": 1, "a": 1, "a.b": 2, "a.c": 3, "a.c.0": 4, "a.c.1": 5, "a.c.1.d": 5}


def test_a_tree_is_plain_without_its_places() -> None:
    node = Node({"a": Node([Node(1, ORIGIN), Node(None, ORIGIN)], ORIGIN)}, ORIGIN)
    assert node.plain() == {"a": [1, None]}


def test_a_place_without_a_line_is_its_file() -> None:
    assert (str(ORIGIN), str(Origin("command line", "/folder"))) == ("x.yaml:1", "command line")
