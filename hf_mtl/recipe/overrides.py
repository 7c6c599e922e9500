"""``key=value`` from the command line, laid over a recipe."""

import os
from collections.abc import Iterable

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.recipe.merge import merge
from hf_mtl.recipe.yaml_source import Node, Origin, describe, parse_yaml

_REMEDY = "Write key=value, such as training.learning_rate=1e-4."


def apply_overrides(recipe: Node, overrides: Iterable[str], mistakes: list[Mistake]) -> Node:
    """Merge ``key=value`` pairs into a recipe, in order.

    Args:
        recipe: The recipe.
        overrides: Dotted keys and YAML values; a number in a key is a place in a list, from 0.
        mistakes: Receives the malformed ones.
    """
    # Paths on the command line are relative to where the user is.
    origin = Origin("command line", os.getcwd())
    for text in overrides:
        key, equals, value = text.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            mistakes.append(Mistake("", f"found '{text}'", _REMEDY, str(origin)))
            continue
        try:
            node = parse_yaml(value, origin, mistakes)
        except RecipeError as error:
            problem = f"found {describe(value)}, {error.mistakes[0].problem}"
            mistakes.append(Mistake(key, problem, "Quote the value.", str(origin)))
            continue
        recipe = _set(recipe, parts, node, mistakes, key)
    return recipe


def _set(recipe: Node, parts: list[str], node: Node, mistakes: list[Mistake], key: str) -> Node:
    """Merge one value; lists on the way are copied with one item exchanged."""
    found = recipe
    path: list[str] = []
    for place, part in enumerate(parts):
        if isinstance(found.value, list):
            if not part.isdigit() or int(part) >= len(found.value):
                allowed = f"The list has places 0 to {len(found.value) - 1}."
                mistakes.append(Mistake(key, f"no place '{part}' in a list", allowed, str(node.origin)))
                return recipe
            items = list(found.value)
            items[int(part)] = _below(items[int(part)], parts[place + 1 :], node)
            return merge(recipe, _wrap(path, Node(items, node.origin)))
        path.append(part)
        child = found.value.get(part) if isinstance(found.value, dict) else None
        if child is None:
            break
        found = child
    return merge(recipe, _wrap(parts, node))


def _below(item: Node, parts: list[str], node: Node) -> Node:
    return merge(item, _wrap(parts, node)) if parts else node


def _wrap(parts: list[str], node: Node) -> Node:
    for part in reversed(parts):
        node = Node({part: node}, node.origin)
    return node
