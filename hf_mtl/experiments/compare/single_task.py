"""The recipe of one task alone: that of several, without everything that speaks of the others."""

from collections.abc import Iterable, Mapping
from typing import Any

from hf_mtl.recipe import Recipe
from hf_mtl.recipe.nodes import Node, Origin
from hf_mtl.tasks.head_shares import SHARE, heads_of

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
    all_tasks = keys["tasks"]
    keys["tasks"] = Node({task: _own_head(all_tasks.value[task], task, whole)}, all_tasks.origin)
    data = keys.get("data")
    if data is not None and isinstance(data.value, dict) and _keys(data.value.get("imbalance")):
        keys["data"] = Node({key: value for key, value in data.value.items() if key != "imbalance"}, data.origin)
    training = keys.get("training")
    if training is not None and isinstance(training.value, dict):
        watched = _of_another(training.value.get("metric_for_best_model"), task, whole.tasks)
        if watched:
            dropped.append(f"training.metric_for_best_model: {watched}, of another task; average in its place")
            keys["training"] = _watching_average(training)
    return Node(keys, recipe.origin), dropped


def with_unit(recipe: Node, ratio: int, unit: int, task: str) -> Node:
    """Draw as many training rows of the task as the ratio of all tasks gives it.

    Args:
        recipe: The recipe of the task alone.
        ratio: Parts of the task.
        unit: Rows of a part, among all tasks.
        task: The task.
    """
    imbalance = as_node({"ratio": {task: ratio}, "unit": unit}, recipe.origin)
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


def _own_head(task: Node, name: str, whole: Recipe) -> Node:
    """Return a task whose head is its own: what it shared may be said in another task."""
    head = task.value.get("head")
    if head is None or not isinstance(head.value, dict) or SHARE not in head.value:
        return task
    own = heads_of(whole.tasks, whole.model.head)[name]
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


def _of_another(metric: Node | None, task: str, tasks: Iterable[str]) -> str | None:
    """Return the score that decides which model is best, where it is another task's."""
    if metric is None or not isinstance(metric.value, str) or metric.value in _ALL_TASKS:
        return None
    name = metric.value.removeprefix("eval_")
    # The longest name that fits: a task may be called as another begins.
    owners = [other for other in tasks if name.startswith(f"{other}_")]
    owner = max(owners, key=len, default=None)
    return None if owner in (None, task) else metric.value


def _watching_average(training: Node) -> Node:
    kept = {key: value for key, value in training.value.items() if key != "greater_is_better"}
    kept["metric_for_best_model"] = Node("average", training.origin)
    return Node(kept, training.origin)
