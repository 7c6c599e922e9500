"""The rows of a run of some tasks: those that these tasks have in the run of all."""

from collections.abc import Collection

from hf_mtl.data.stratified_carving import carved_beside
from hf_mtl.recipe import Recipe
from hf_mtl.recipe.nodes import Node


def with_beside(recipe: Node, group: Collection[str], tasks: Node, whole: Recipe) -> Node:
    """Name the other tasks in a recipe of some, where rows would be carved or taken out otherwise without them.

    Args:
        recipe: The recipe of some of the tasks.
        group: These tasks.
        tasks: All tasks, as the merged recipe has them.
        whole: The recipe of all tasks, validated.
    """
    trained = whole.trained_tasks
    # Every other task may have what is to be taken out; texts are carved by those that read the same.
    others = {name: task for name, task in trained.items() if name not in group}
    if whole.data.contamination != "drop":
        others = carved_beside({name: trained[name] for name in group}, trained)
    if not others:
        return recipe
    beside = Node({name: _without_head(tasks.value[name]) for name in others}, tasks.origin)
    data = recipe.value.get("data")
    kept = {} if data is None or data.value is None else data.value
    return Node({**recipe.value, "data": Node({**kept, "beside": beside}, tasks.origin)}, recipe.origin)


def _without_head(task: Node) -> Node:
    """Return a task without its head, which it may share with one that is not there."""
    return Node({key: value for key, value in task.value.items() if key != "head"}, task.origin)
