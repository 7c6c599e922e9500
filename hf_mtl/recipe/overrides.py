"""``key=value`` from the command line, laid over a recipe."""

import os
from collections.abc import Iterable

from hf_mtl.errors import Mistake, RecipeError
from hf_mtl.plain import KeyPath, describe
from hf_mtl.recipe.bounds import DEEPEST, Size
from hf_mtl.recipe.merge import merge
from hf_mtl.recipe.nodes import Node, Origin
from hf_mtl.recipe.yaml_source import parse_yaml

_REMEDY = "Write key=value, such as training.learning_rate=1e-4."


def apply_overrides(recipe: Node, overrides: Iterable[str], mistakes: list[Mistake]) -> Node:
    """Merge ``key=value`` pairs into a recipe, in order.

    Args:
        recipe: The recipe.
        overrides: Dotted keys and YAML values; a number in a key is a place in a list, from 0.
        mistakes: Receives the malformed ones.
    """
    # Paths on the command line are relative to where the user is.
    origin, size = Origin("command line", os.getcwd()), Size()
    for text in overrides:
        key, equals, value = text.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            mistakes.append(Mistake("", f"found {describe(text)}", _REMEDY, str(origin)))
            continue
        if len(parts) > DEEPEST:
            problem = f"found {describe(text)}, a key of {len(parts):,} parts"
            mistakes.append(Mistake("", problem, f"Allowed: at most {DEEPEST}.", str(origin)))
            continue
        try:
            node = parse_yaml(value, origin, mistakes, size)
        except RecipeError as error:
            problem = f"found {describe(value)}, {error.mistakes[0].problem}"
            mistakes.append(Mistake(key, problem, "Quote the value.", str(origin)))
            continue
        recipe = set_at(recipe, parts, node, mistakes, key)
    return recipe


def set_at(target: Node, parts: list[str], node: Node, mistakes: list[Mistake], key: str, at: KeyPath = ()) -> Node:
    """Merge one value into a recipe; lists on the way are copied with one item exchanged.

    Args:
        target: The recipe, or what lies in it at ``at``.
        parts: Parts of the value's key below ``target``; a number is a place in a list, from 0.
        node: The value.
        mistakes: Receives the places that a list does not have.
        key: The whole key, for messages.
        at: Key path of ``target``.
    """
    found: Node | None = target
    for place, part in enumerate(parts):
        if found is not None and isinstance(found.value, list):
            items = list(found.value)
            if not part.isdigit() or int(part) >= len(items):
                allowed = f"The list has places 0 to {len(items) - 1}."
                mistakes.append(Mistake(key, f"no place '{part}' in a list", allowed, str(node.origin)))
                return target
            below = (*at, *parts[:place], int(part))
            items[int(part)] = set_at(items[int(part)], parts[place + 1 :], node, mistakes, key, below)
            return merge(target, _wrap(parts[:place], Node(items, node.origin)), mistakes, at)
        found = found.value.get(part) if found is not None and isinstance(found.value, dict) else None
    return merge(target, _wrap(parts, node), mistakes, at)


def _wrap(parts: list[str], node: Node) -> Node:
    for part in reversed(parts):
        node = Node({part: node}, node.origin)
    return node
