"""One recipe laid over another: what is inherited, what is replaced."""

from typing import Any

from hf_mtl.errors import Mistake
from hf_mtl.plain import KeyPath, dotted
from hf_mtl.recipe.nodes import Node

# Mappings that are one thing with its options: named differently, they are another thing, and the options of the
# inherited one do not fit it. (What names the thing, and whether a plain word is short for it.)
# By their places and not by their keys alone, because a task may be called `head` or `dataset`: a star is any key, a
# number sign any place in a list.
_NAMED_BY = {
    "model.head": ("type", True),
    "model.backbone": ("model_type", False),
    "model.tokenizer": ("train", False),
    "tasks.*.head": ("type", True),
    "tasks.*.dataset": ("path", False),
    "tasks.*.dataset.#": ("path", False),
    "tasks.*.metrics": ("name", True),
    "tasks.*.metrics.#": ("name", True),
    "balancing.weighting": ("name", True),
    "balancing.aggregator": ("name", True),
    "schedules.#": ("type", True),
    "callbacks.#": ("name", True),
}

# Mappings whose null is a value, and removes nothing: a split that is left out, a value that is no label.
_MEAN_NULL = (
    "tasks.*.dataset.splits",
    "tasks.*.dataset.#.splits",
    "tasks.*.dataset.map.*",
    "tasks.*.dataset.#.map.*",
)


def merge(base: Node, top: Node, mistakes: list[Mistake], path: KeyPath = ()) -> Node:
    """Merge two trees; ``top`` wins, lists are replaced, null removes what was inherited (of splits, the split;
    of a map of labels, the label).

    A head, weighting, aggregator, dataset, tokenizer or inline backbone that names another thing than the inherited
    one replaces it with all its options.

    Args:
        base: What is inherited.
        top: What extends it.
        mistakes: Receives the mappings without keys, which would change nothing.
        path: Key path of both.
    """
    if not isinstance(top.value, dict):
        return top
    inherited = _inherited(base, top, path)
    if inherited and path and not top.value:
        remedy = "Write null to remove what is inherited, or leave the key out."
        mistakes.append(Mistake(dotted(path), "found {}, which changes nothing", remedy, str(top.origin)))
    nodes: dict[str, Any] = dict(inherited)
    for key, node in top.value.items():
        if key not in inherited:
            nodes[key] = node
        elif node.value is None and not any(_is_place(place, path) for place in _MEAN_NULL):
            del nodes[key]
        else:
            nodes[key] = merge(inherited[key], node, mistakes, (*path, key))
    return Node(nodes, top.origin if not inherited else base.origin)


def _inherited(base: Node, top: Node, path: KeyPath) -> dict[str, Node]:
    """Return the part of ``base`` that stays in force below the mapping ``top``."""
    name, short = _naming(path)
    if short and isinstance(base.value, str) and name not in top.value:
        return {name: base}
    if not isinstance(base.value, dict):
        return {}
    renamed = name in top.value and top.value[name].plain() != _plain(base.value.get(name))
    return {} if renamed else base.value


def is_named(path: KeyPath) -> bool:
    """Tell whether what stands at a place is one thing with its options, which is inherited whole or not at all.

    Args:
        path: The key path.
    """
    return bool(_naming(path)[0])


def _naming(path: KeyPath) -> tuple[str, bool]:
    """Return what names the thing at a place, and whether a plain word is short for it; empty for other mappings."""
    return next((found for place, found in _NAMED_BY.items() if _is_place(place, path)), ("", False))


def _is_place(place: str, path: KeyPath) -> bool:
    parts = place.split(".")
    return len(parts) == len(path) and all(map(_is_at, parts, path))


def _is_at(part: str, key: str | int) -> bool:
    return part == ("#" if isinstance(key, int) else key) or (part == "*" and isinstance(key, str))


def _plain(node: Node | None) -> Any:
    return None if node is None else node.plain()
