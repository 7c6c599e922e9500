"""Parsing of YAML without a file."""

from typing import Any

from hf_mtl.errors import Mistake
from hf_mtl.recipe.nodes import Origin
from hf_mtl.recipe.yaml_source import parse_yaml

ORIGIN = Origin("x.yaml", "/folder", 1)


def parse(text: str) -> Any:
    mistakes: list[Mistake] = []
    node = parse_yaml(text, ORIGIN, mistakes)
    assert mistakes == []
    return node.plain()
