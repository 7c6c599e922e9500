"""Relative paths in a recipe become absolute, relative to the file that says them."""

import os
from collections.abc import Callable

from hf_mtl.argument_fields import OPTION_FILES
from hf_mtl.data.readers import READERS
from hf_mtl.recipe.nodes import Node


def resolve_paths(recipe: Node) -> Node:
    """Make the paths of datasets, metric scripts, models, tokenizer and files of training options absolute.

    Hub ids, formats, URLs and ``python:package/folder`` are left alone. ``training.output_dir`` is not looked at:
    it is relative to the current folder, as everywhere in transformers.

    Args:
        recipe: The merged recipe.
    """
    recipe = _at(recipe, "model", lambda model: _at(_at(model, "backbone", _if_local), "tokenizer", _if_local))
    recipe = _at(recipe, "baselines", lambda found: _at(found, "llm", lambda llm: _at(llm, "model", _if_local)))
    recipe = _at(recipe, "training", _training)
    recipe = _at(recipe, "data", lambda data: _at(data, "beside", lambda tasks: _each(tasks, _task)))
    return _at(recipe, "tasks", lambda tasks: _each(tasks, _task))


def _training(node: Node) -> Node:
    for key in OPTION_FILES:
        node = _at(node, key, _options)
    return node


def _task(node: Node) -> Node:
    return _at(_at(node, "dataset", _dataset), "metrics", _metrics)


def _metrics(node: Node) -> Node:
    """Resolve one metric or a list of them, each a name or a mapping with a name."""
    if isinstance(node.value, list):
        return _each(node, _metrics)
    return _at(node, "name", _script) if isinstance(node.value, dict) else _script(node)


def _script(node: Node) -> Node:
    """Return a metric's script, or the folder of one; other names are metrics of ours, of `evaluate` or of the
    Hub.
    """
    value = node.value
    if not isinstance(value, str) or not value:
        return node
    folder = os.path.join(node.origin.folder, os.path.expanduser(value))
    if value.endswith(".py") or value.startswith((".", "~")):
        return _absolute(node)
    if not os.path.isfile(os.path.join(folder, f"{os.path.basename(value)}.py")):
        return node
    from hf_mtl.evaluation import available_metrics

    return node if value in available_metrics() else _absolute(node)


def _at(node: Node, key: str, change: Callable[[Node], Node]) -> Node:
    if not isinstance(node.value, dict) or key not in node.value:
        return node
    return Node({**node.value, key: change(node.value[key])}, node.origin)


def _each(node: Node, change: Callable[[Node], Node]) -> Node:
    if isinstance(node.value, dict):
        return Node({key: change(child) for key, child in node.value.items()}, node.origin)
    if isinstance(node.value, list):
        return Node([change(child) for child in node.value], node.origin)
    return node


def _options(node: Node) -> Node:
    """Return a file of options; not the options themselves as JSON."""
    written = isinstance(node.value, str) and node.value.lstrip().startswith("{")
    return node if written else _absolute(node)


def _dataset(node: Node) -> Node:
    if isinstance(node.value, list):
        return _each(node, _dataset)
    if not isinstance(node.value, dict) or "path" not in node.value:
        return node
    if node.value["path"].value in READERS:
        # The files of a format are local (globs too, which do not exist as such); those of a Hub id are not.
        return _at(node, "data_files", lambda files: _leaves(files, _absolute))
    return _at(_at(node, "path", _if_local), "data_files", lambda files: _leaves(files, _if_local))


def _leaves(node: Node, change: Callable[[Node], Node]) -> Node:
    if isinstance(node.value, (dict, list)):
        return _each(node, lambda child: _leaves(child, change))
    return change(node)


def _absolute(node: Node) -> Node:
    value = node.value
    if (
        not isinstance(value, str)
        or not value
        or "://" in value
        or value.startswith("python:")
        or os.path.isabs(value)
    ):
        return node
    return Node(os.path.normpath(os.path.join(node.origin.folder, os.path.expanduser(value))), node.origin)


def _if_local(node: Node) -> Node:
    value = node.value
    if not isinstance(value, str) or not value or value in READERS:
        return node
    local = value.startswith((".", "~")) or os.path.exists(os.path.join(node.origin.folder, value))
    return _absolute(node) if local else node
