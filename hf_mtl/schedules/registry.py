"""Schedules by name: discovery, and options checked against signatures."""

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from hf_mtl.discovery import import_modules
from hf_mtl.errors import Mistake, UserError, huge_numbers, idle_options, known
from hf_mtl.schedules.base import Schedule


@cache
def _discover() -> None:
    import_modules(__package__)


def available_schedules() -> dict[str, type[Schedule]]:
    """Every registered schedule by name."""
    _discover()
    return dict(sorted(Schedule.registry.items()))


def schedule_class(name: str) -> type[Schedule]:
    """The class behind a recipe name.

    Raises:
        UserError: If the name is unknown.
    """
    found = available_schedules()
    if name not in found:
        raise UserError(Mistake("schedules", f"unknown schedule '{name}'", known(found, name)))
    return found[name]


def build_schedule(spec: str | Mapping[str, Any], tasks: list[str], key: str = "schedules") -> Schedule:
    """Build a schedule as a recipe writes it.

    Args:
        spec: A name, or a mapping with ``type`` and the schedule's options.
        tasks: The run's tasks, which its options may name.
        key: The recipe key that holds the specification.

    Raises:
        UserError: If the name, an option or a task is unknown, or a value is out of range.
    """
    options = {"type": spec} if isinstance(spec, str) else dict(spec)
    name = options.pop("type", None)
    if not isinstance(name, str):
        raise UserError(Mistake(key, f"found {spec!r}", "A schedule is a name, or a mapping with 'type' and options"))
    cls = schedule_class(name)
    allowed = inspect.signature(cls, eval_str=True).parameters
    mistakes, values = huge_numbers(options, key), {}
    for option, value in options.items():
        if option not in allowed:
            remedy = known(allowed, option, f"Options of '{name}'")
            mistakes.append(Mistake(f"{key}.{option}", f"unknown option '{option}'", remedy))
            continue
        try:
            values[option] = TypeAdapter(allowed[option].annotation).validate_python(value)
        except ValidationError as error:
            mistakes.append(Mistake(f"{key}.{option}", f"found {value!r}", error.errors()[0]["msg"]))
    for option, parameter in allowed.items():
        if parameter.default is parameter.empty and option not in options:
            mistakes.append(Mistake(f"{key}.{option}", "is missing", f"'{name}' needs it"))
    defaults = {option: parameter.default for option, parameter in allowed.items()}
    mistakes += idle_options(getattr(cls, "only_with", {}), values, defaults, key)
    if mistakes:
        raise UserError(mistakes)
    schedule = cls(**values)
    unknown = {
        option: task for option, task in values.items() if task in schedule.tasks_named() and task not in tasks
    }
    if unknown:
        raise UserError(
            [Mistake(f"{key}.{name}", f"unknown task '{task}'", known(tasks, task)) for name, task in unknown.items()]
        )
    return schedule
