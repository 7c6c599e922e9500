"""Task types by name: those of hf_mtl, found in their folder, and others, which register when they are imported."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BeforeValidator, SerializeAsAny

from hf_mtl.components import Registry
from hf_mtl.errors import Mistake, UserError, known
from hf_mtl.tasks.task import Task

_T = TypeVar("_T", bound=Task)

TASK_TYPES: Registry[Task] = Registry("task type", "tasks", "hf_mtl.task_types")


def register(task_type: type[_T]) -> type[_T]:
    """Make a task type known by the name in its ``type`` field.

    Raises:
        ValueError: If another class has the name, the class has none, or nobody can tell its baselines.
    """
    name = task_type.model_fields["type"].default
    if not isinstance(name, str):
        raise ValueError(f'{task_type.__qualname__} has no name: write type: Literal["my_type"] = "my_type"')
    parts = (task_type.constant_outputs, task_type.linear_outputs)
    lacks = Task.constant_outputs in parts or Task.linear_outputs in parts
    if lacks and task_type.own_baselines is Task.own_baselines:
        raise ValueError(f"{task_type.__qualname__} has no baselines: own_baselines, or constant_ and linear_outputs")
    return TASK_TYPES.register(name)(task_type)


def task_types() -> dict[str, type[Task]]:
    """Return every registered task type by name."""
    return {name: TASK_TYPES[name] for name in TASK_TYPES.names()}


def unknown_type(found: object, key: str) -> Mistake:
    """Make the mistake of a task whose type is no registered one.

    Args:
        found: The type that it names.
        key: Dotted key of the type.
    """
    own = "Import the module of a type of your own first: a command with --allow-code does, of a run that names it."
    remedy = f"{known(TASK_TYPES.names(), str(found))} {own}"
    return Mistake(key, f"unknown task type {found!r:.60}", remedy)


def task_from_dict(value: Mapping[str, Any]) -> Task:
    """Read a task back from JSON, such as a model's config.

    Raises:
        UserError: If no registered type has the name.
        pydantic.ValidationError: If the dictionary is not a task of its type.
    """
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in TASK_TYPES:
        raise UserError(unknown_type(kind, "type"))
    return TASK_TYPES[kind].model_validate(value)


def _read(value: object) -> object:
    return task_from_dict(value) if isinstance(value, Mapping) else value


AnyTask: TypeAlias = Annotated[SerializeAsAny[Task], BeforeValidator(_read)]
"""A task of any type, in a pydantic model; which types there are is asked when a value is read."""
