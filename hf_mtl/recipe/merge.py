"""Recipes that extend recipes: what is inherited, what is replaced."""

import os
from pathlib import Path
from typing import Any

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.recipe.yaml_source import KeyPath, Node, describe, read_yaml

# Mappings that are one thing with its options: named differently, they are another thing, and the options of the
# inherited one do not fit it. (What names the thing, and whether a plain word is short for it.)
_NAMED_BY = {
    "head": ("type", True),
    "weighting": ("name", True),
    "aggregator": ("name", True),
    "dataset": ("path", False),
    "backbone": ("model_type", False),
    "tokenizer": ("train", False),
}


def read_extended(path: str | Path, mistakes: list[Mistake]) -> Node:
    """Read a recipe and everything that it extends, merged.

    Args:
        path: The recipe, as the user named it.
        mistakes: Receives what is wrong without being in the way.

    Raises:
        RecipeError: If a file cannot be read, or a recipe extends itself.
    """
    return _read(Path(path), (), mistakes)


def _read(path: Path, chain: tuple[Path, ...], mistakes: list[Mistake]) -> Node:
    node = read_yaml(path, mistakes)
    chain = (*chain, path)
    extends = node.value.pop("extends", None)
    if extends is None:
        return node
    merged: Node | None = None
    for name in _names(extends, mistakes):
        base = Path(_tidy(path.parent / Path(name).expanduser()))
        if base.resolve() in {file.resolve() for file in chain}:
            circle = " -> ".join(str(file) for file in (*chain, base))
            raise RecipeError(
                Mistake("extends", f"a circle: {circle}", "A recipe cannot extend itself.", str(extends.origin))
            )
        if not base.is_file():
            raise RecipeError(
                Mistake(
                    "extends", f"no such file: '{name}'", f"It is relative to {path.parent}.", str(extends.origin)
                )
            )
        inherited = _read(base, chain, mistakes)
        merged = inherited if merged is None else merge(merged, inherited)
    return node if merged is None else Node(merge(merged, node).value, node.origin)


def _names(extends: Node, mistakes: list[Mistake]) -> list[str]:
    found = extends.plain()
    names = [found] if isinstance(found, str) else found
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    mistakes.append(
        Mistake("extends", f"found {describe(found)}", "Allowed: a file, or a list of files.", str(extends.origin))
    )
    return []


def _tidy(path: Path) -> str:
    """Without ``..`` in the middle, as far as that can be said without touching the disk."""
    return os.path.normpath(path)


def merge(base: Node, top: Node, path: KeyPath = ()) -> Node:
    """Merge two trees; ``top`` wins, lists are replaced, null removes what was inherited.

    A head, weighting, aggregator, dataset, tokenizer or inline backbone that names another thing than the inherited
    one replaces it with all its options.

    Args:
        base: What is inherited.
        top: What extends it.
        path: Key path of both.
    """
    if not isinstance(top.value, dict):
        return top
    inherited = _inherited(base, top, path)
    nodes: dict[str, Any] = dict(inherited)
    for key, node in top.value.items():
        if key not in inherited:
            nodes[key] = node
        elif node.value is None:
            del nodes[key]
        else:
            nodes[key] = merge(inherited[key], node, (*path, key))
    return Node(nodes, top.origin if not inherited else base.origin)


def _inherited(base: Node, top: Node, path: KeyPath) -> dict[str, Node]:
    """The part of ``base`` that stays in force below the mapping ``top``."""
    name, short = _NAMED_BY.get(str(path[-1]) if path else "", ("", False))
    if short and isinstance(base.value, str) and name not in top.value:
        return {name: base}
    if not isinstance(base.value, dict):
        return {}
    renamed = name in top.value and top.value[name].plain() != _plain(base.value.get(name))
    return {} if renamed else base.value


def _plain(node: Node | None) -> Any:
    return None if node is None else node.plain()
