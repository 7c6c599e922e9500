"""Keys that stand in a wrong place of a recipe, and where they belong."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import hf_mtl.balancing as of_balancing
import hf_mtl.data.mixture as of_mixture
import hf_mtl.data.section as of_data
import hf_mtl.evaluation.section as of_baselines
from hf_mtl.argument_fields import OF_THE_COMMAND_LINE, REFUSED
from hf_mtl.errors import Mistake
from hf_mtl.recipe import sections
from hf_mtl.recipe.schema import ModelSection
from hf_mtl.tasks import DatasetSource, task_types

# Where the names of tasks stand, as deep as these.
_OF_TASKS = (("tasks",), ("data", "beside"))


def with_home(mistake: Mistake, data: Mapping[str, Any]) -> Mistake:
    """Say of a key that is unknown where it stands, and known elsewhere, where it belongs.

    Args:
        mistake: A mistake of a recipe.
        data: The recipe, as plain values.
    """
    path = mistake.key.split(".")
    if mistake.problem != f"unknown key '{path[-1]}'":
        return mistake
    said = mistake.remedy or ""
    if said.startswith("It belongs to ") and ": write " in said and len(path) == 2:
        # Deeper in this section; a key of another section itself is meant rather.
        remedy = _of_a_section(path)
    elif said.startswith(("Known: ", "Of ")):
        remedy = _above(path, data) or _elsewhere(path)
    else:  # told by who knows better
        return mistake
    return replace(mistake, remedy=remedy) if remedy else mistake


def _above(path: list[str], data: Mapping[str, Any]) -> str | None:
    """Find the key in the task or the section in which it stands too deep."""
    name = path[-1]
    for above in _OF_TASKS:
        depth = len(above) + 1
        if tuple(path[: len(above)]) == above:
            # Deeper than in a mapping of the task, as in a filter, a name may be that of anything.
            inside, keys = len(path) == depth + 2, _keys_of_task(_at(data, [*path[:depth], "type"]))
            return _written([*path[:depth], name]) if inside and name in keys else None
    if len(path) > 2 and name in _keys_of_sections().get(path[0], ()):
        return _written([path[0], name])
    return None


def _elsewhere(path: list[str]) -> str | None:
    """Find the key in another section, or in tasks, of a key that stands in none, or right in one or in a task."""
    name = path[-1]
    in_task = any(tuple(path[: len(above)]) == above and len(path) == len(above) + 2 for above in _OF_TASKS)
    if len(path) > 2 and not in_task:
        return None
    remedy = _of_a_section(path)
    if remedy or in_task:
        return remedy
    if any(name in _keys_of_task(kind) for kind in task_types()):
        return f"Set it in each task: tasks.NAME.{name}."
    if name in DatasetSource.model_fields:
        return f"Set it in the dataset of each task: tasks.NAME.dataset.{name}."
    return None


def _of_a_section(path: list[str]) -> str | None:
    """Find the key among those of the other sections."""
    name = path[-1]
    homes = [section for section, keys in _keys_of_sections().items() if name in keys and section != path[0]]
    return _written([homes[0], name]) if homes else None


def _written(path: list[str]) -> str:
    *above, _ = path
    return f"It belongs to {'.'.join(above)}: write {'.'.join(path)}."


def _keys_of_sections() -> dict[str, Collection[str]]:
    """Return the keys of every section but tasks."""
    training = sections.training_section().model_fields.keys() - {*REFUSED, *OF_THE_COMMAND_LINE}
    return {
        "model": ModelSection.model_fields,
        "data": of_data.Spec.model_fields,
        "mixture": of_mixture.section().model_fields,
        "balancing": of_balancing.Spec.model_fields,
        "baselines": of_baselines.Spec.model_fields,
        "training": training,
    }


def _keys_of_task(kind: object) -> Collection[str]:
    task_type = task_types().get(kind) if isinstance(kind, str) else None
    return () if task_type is None else task_type.model_fields


def _at(data: Any, path: list[str]) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, Mapping) else None
    return data
