"""A recipe as others may see it: without places on this machine, and without where the run was pushed."""

import os
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

_OF_THE_HUB = ("push_to_hub", "resume_from_checkpoint")


def shareable(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections of a recipe with the last part of each path in place of the path.

    Names of classes and columns stay: a class may be called ``/m/01``. The recipe that is left runs as it is where
    nothing of it was a local file; a run of it is not pushed to where this one was.

    Args:
        sections: As `Recipe.to_dict` gives them.
    """
    found = {name: _last_part(value) for name, value in sections.items() if name != "tasks"}
    if "tasks" in sections:
        found["tasks"] = _tasks(sections["tasks"])
    if "beside" in sections.get("data", {}):
        found["data"]["beside"] = _tasks(sections["data"]["beside"])
    if "training" in found:
        found["training"] = {key: value for key, value in found["training"].items() if not _of_the_hub(key)}
    return {name: found[name] for name in sections}


def _of_the_hub(key: str) -> bool:
    return key in _OF_THE_HUB or key.startswith("hub_")


def _tasks(tasks: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _task(task) for name, task in tasks.items()}


def _task(task: Mapping[str, Any]) -> dict[str, Any]:
    # What else a task says are names of columns and classes.
    places = {key: _last_part(task[key]) for key in ("dataset", "metrics", "head") if key in task}
    return {**task, **places}


def _last_part(value: Any) -> Any:
    """Return a value with the last part of each absolute path in it, but of columns and labels."""
    if isinstance(value, Mapping):
        kept = ("filter", "rename", "map", "concat", "labels", "name") if "path" in value else ("labels",)
        return {key: item if key in kept else _last_part(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_last_part(item) for item in value]
    if not isinstance(value, str):
        return value
    text = value.removeprefix("file://")
    if os.path.isabs(text) or PureWindowsPath(text).is_absolute():
        name = PureWindowsPath(text).name if "\\" in text else PurePosixPath(text).name
        return name or value  # a slash alone separates something
    return value
