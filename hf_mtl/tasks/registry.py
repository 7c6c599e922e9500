"""Task types by name: those of hf_mtl, found in their folder, and others, which register when they are imported."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BeforeValidator, SerializeAsAny

from hf_mtl.errors import Mistake, UserError, known
from hf_mtl.tasks.task import Task

_T = TypeVar("_T", bound=Task)
_types: dict[str, type[Task]] = {}


def register(task_type: type[_T]) -> type[_T]:
    """Make a task type known by the name in its ``type`` field.

    Raises:
        ValueError: If another class has the name.
    """
    name = task_type.model_fields["type"].default
    if _types.get(name, task_type) is not task_type:
        raise ValueError(f"a task type '{name}' is registered already: {_types[name].__qualname__}")
    _types[name] = task_type
    return task_type


@cache
def _discover() -> None:
    package = importlib.import_module("hf_mtl.task_types")  # by name: it stands above
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def task_types() -> dict[str, type[Task]]:
    """Every registered task type by name."""
    _discover()
    return dict(sorted(_types.items()))


def unknown_type(found: object, key: str) -> Mistake:
    """Make the mistake of a task whose type is no registered one.

    Args:
        found: The type that it names.
        key: Dotted key of the type.
    """
    remedy = f"{known(task_types(), str(found))} Import the module of a type of your own first."
    return Mistake(key, f"unknown task type {found!r:.60}", remedy)


def task_from_dict(value: Mapping[str, Any]) -> Task:
    """Read a task back from JSON, such as a model's config.

    Raises:
        UserError: If no registered type has the name.
        pydantic.ValidationError: If the dictionary is not a task of its type.
    """
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in task_types():
        raise UserError(unknown_type(kind, "type"))
    return task_types()[kind].model_validate(value)


def _read(value: object) -> object:
    return task_from_dict(value) if isinstance(value, Mapping) else value


AnyTask: TypeAlias = Annotated[SerializeAsAny[Task], BeforeValidator(_read)]
"""A task of any type, in a pydantic model; which types there are is asked when a value is read."""
