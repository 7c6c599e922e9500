"""The recipe of some of the tasks together: that of all, without what speaks of the others."""

from collections.abc import Collection, Sequence

from hf_mtl.experiments.compare.single_task import watching_own, with_own_heads, without_ratio
from hf_mtl.recipe import Recipe
from hf_mtl.recipe.nodes import Node

_BY_TASK = ("mixture", "balancing")


def some_tasks_node(recipe: Node, group: Sequence[str], whole: Recipe) -> tuple[Node, list[str]]:
    """Take all other tasks out of a recipe, and what is said of them.

    Mixture, balancing and schedules stay. Of what they say for each task by its name the part of the others goes;
    what names one of the others as its main task goes as a whole.

    Args:
        recipe: The merged recipe.
        group: The tasks that stay, at least two.
        whole: The recipe of all tasks, validated.

    Returns:
        The recipe, and what was dropped in words.
    """
    others = [name for name in whole.tasks if name not in group]
    keys = dict(recipe.value)
    dropped: list[str] = []
    for section in _BY_TASK:
        if section in keys:
            keys[section] = _of_group(keys[section], section, others, dropped)
    schedules = keys.get("schedules")
    if schedules is not None and isinstance(schedules.value, list):
        kept = [_of_group(item, "schedules", others, dropped) for item in schedules.value]
        keys["schedules"] = Node([item for item in kept if item.value is not None], schedules.origin)
    keys["tasks"] = with_own_heads(keys["tasks"], group, whole)
    keys = without_ratio(keys)
    keys, said = watching_own(keys, group, whole.tasks)
    return Node(keys, recipe.origin), [*dropped, *said]


def _of_group(node: Node, key: str, others: Collection[str], dropped: list[str]) -> Node:
    """Return what is said without the others; null where it is of one of them."""
    if isinstance(node.value, str) and node.value in others:
        dropped.append(f"{key}: {node.value}")
        return Node(None, node.origin)
    if isinstance(node.value, list):
        items = [item for item in node.value if item.value not in others or not isinstance(item.value, str)]
        return Node(items, node.origin)
    if not isinstance(node.value, dict):
        return node
    found: dict[str, Node] = {}
    for name, item in node.value.items():
        # A stream is called by its tasks, with a plus sign between them.
        left = "+".join(part for part in name.split("+") if part not in others)
        if not left:
            continue
        kept = _of_group(item, f"{key}.{name}", others, dropped)
        if kept.value is None and item.value is not None:
            # An option that names a task which is gone: what it is an option of cannot be had without.
            if name in ("main", "task"):
                return Node(None, node.origin)
            continue
        found[left] = kept
    return Node(found, node.origin)
