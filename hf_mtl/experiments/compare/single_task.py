"""The recipe of one task alone: that of several, without everything that speaks of the others."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hf_mtl.recipe import Recipe
from hf_mtl.recipe.nodes import Node, Origin
from hf_mtl.tasks.head_shares import SHARE, heads_of, share_of, with_share

_OF_SEVERAL = ("mixture", "balancing", "schedules")
_ALL_TASKS = ("loss", "eval_loss")


def single_task_node(recipe: Node, task: str, whole: Recipe) -> tuple[Node, list[str]]:
    """Take all other tasks out of a recipe.

    Without them nothing is left for a mixture to mix, for a weighting to weigh, and for a schedule of tasks to order;
    one that stops or alternates is the joint run's too, and goes with them. A ratio of training rows goes with the
    others' rows, and `with_unit` puts this task's back.

    Args:
        recipe: The merged recipe.
        task: The task that stays.
        whole: The recipe of all tasks, validated.

    Returns:
        The recipe, and what was dropped in words.
    """
    keys = dict(recipe.value)
    dropped = [f"{name}: {', '.join(_keys(keys[name]))}" for name in _OF_SEVERAL if _keys(keys.get(name))]
    for name in _OF_SEVERAL:
        keys.pop(name, None)
    keys["tasks"] = with_own_heads(keys["tasks"], [task], whole)
    keys, said = watching_own(without_ratio(keys), [task], whole.tasks)
    return Node(keys, recipe.origin), [*dropped, *said]


def with_own_heads(tasks: Node, group: Sequence[str], whole: Recipe) -> Node:
    """Take out the tasks that are not of a group.

    What the heads of the others are shared by is said in the group, where it was said in another task.

    Args:
        tasks: The section of the merged recipe.
        group: The tasks that stay.
        whole: The recipe of all tasks, validated.
    """
    return Node({name: _own_head(tasks.value[name], name, group, whole) for name in group}, tasks.origin)


def without_ratio(recipe: Mapping[str, Node]) -> dict[str, Node]:
    """Take out the ratio of training rows, which is one of all tasks; see `with_unit`.

    Args:
        recipe: The sections of a recipe.
    """
    data = recipe.get("data")
    if data is None or not isinstance(data.value, dict) or "imbalance" not in data.value:
        return dict(recipe)
    left = {key: value for key, value in data.value.items() if key != "imbalance"}
    return {**recipe, "data": Node(left, data.origin)}


def watching_own(
    recipe: Mapping[str, Node], group: Sequence[str], tasks: Iterable[str]
) -> tuple[dict[str, Node], list[str]]:
    """Let a score of all tasks decide which model is the best, where one of a task decides that is not there.

    Args:
        recipe: The sections of a recipe.
        group: The tasks that are there.
        tasks: The names of all tasks.

    Returns:
        The sections, and what was changed in words.
    """
    training = recipe.get("training")
    if training is None or not isinstance(training.value, dict):
        return dict(recipe), []
    watched = _of_another(training.value.get("metric_for_best_model"), group, tasks)
    if watched is None:
        return dict(recipe), []
    said = f"training.metric_for_best_model: {watched}, of another task; average in its place"
    return {**recipe, "training": _watching_average(training)}, [said]


def with_unit(recipe: Node, ratio: Mapping[str, int], unit: int) -> Node:
    """Draw as many training rows of some tasks as the ratio of all tasks gives them.

    Args:
        recipe: The recipe of these tasks.
        ratio: Parts of each.
        unit: Rows of a part, among all tasks.
    """
    imbalance = as_node({"ratio": dict(ratio), "unit": unit}, recipe.origin)
    data = recipe.value.get("data")
    kept = {} if data is None or data.value is None else data.value
    return Node({**recipe.value, "data": Node({**kept, "imbalance": imbalance}, recipe.origin)}, recipe.origin)


def _keys(node: Node | None) -> list[str]:
    """Return what a section says, in words; empty for one that says nothing."""
    if node is None or not node.value:
        return []
    if isinstance(node.value, dict):
        return list(node.value)
    items = node.value if isinstance(node.value, list) else [node]
    return [_name(item) for item in items]


def _name(item: Node) -> str:
    plain: Any = item.plain()
    return str(plain.get("type", plain) if isinstance(plain, dict) else plain)


def _own_head(task: Node, name: str, group: Sequence[str], whole: Recipe) -> Node:
    """Return a task whose head is what it was: what is shared may be said in another task."""
    head = task.value.get("head")
    if head is None or not isinstance(head.value, dict) or SHARE not in head.value:
        return task
    own = heads_of(whole.tasks, whole.model.head)[name]
    share = share_of(whole.tasks[name].head)
    if own is not None and any(share_of(whole.tasks[other].head) == share for other in group if other != name):
        own = with_share(own, share)
    rest = {key: value for key, value in task.value.items() if key != "head"}
    return Node({**rest, **({} if own is None else {"head": as_node(own, head.origin)})}, task.origin)


def as_node(value: Any, origin: Origin) -> Node:
    """Give plain values the place of what they stand for.

    Args:
        value: Plain values.
        origin: The place.
    """
    if isinstance(value, Mapping):
        return Node({str(key): as_node(item, origin) for key, item in value.items()}, origin)
    if isinstance(value, (list, tuple)):
        return Node([as_node(item, origin) for item in value], origin)
    return Node(value, origin)


def _of_another(metric: Node | None, group: Sequence[str], tasks: Iterable[str]) -> str | None:
    """Return the score that decides which model is best, where it is another task's."""
    if metric is None or not isinstance(metric.value, str) or metric.value in _ALL_TASKS:
        return None
    name = metric.value.removeprefix("eval_")
    # The longest name that fits: a task may be called as another begins.
    owners = [other for other in tasks if name.startswith(f"{other}_")]
    owner = max(owners, key=len, default=None)
    return None if owner is None or owner in group else metric.value


def _watching_average(training: Node) -> Node:
    kept = {key: value for key, value in training.value.items() if key != "greater_is_better"}
    kept["metric_for_best_model"] = Node("average", training.origin)
    return Node(kept, training.origin)
