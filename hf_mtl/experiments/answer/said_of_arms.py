"""What a study's file says of its arms, in words; the folder of a study has nothing else of its recipes."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml

from hf_mtl.data.columns import name_count

AS_IT_IS = "the base recipe as it is"
PER_TASK = "one run per task"
_LONGEST = 60
"""Letters of a value; what is longer is cut."""
_MOST_KEYS = 10


def arms_in(said: Mapping[str, Any]) -> dict[str, list[str]]:
    """Say of each arm what it replaces in the base recipe; empty: the file names no arms.

    Args:
        said: What the file says.
    """
    arms = said.get("arms")
    return {str(name): _arm(keys) for name, keys in arms.items()} if isinstance(arms, Mapping) else {}


def base_in(said: Mapping[str, Any]) -> list[str]:
    """Name the base recipe, and what is replaced in all arms; empty: the file does not say.

    Args:
        said: What the file says.
    """
    common = said.get("set")
    keys = _keys(common) if isinstance(common, Mapping) else []
    return [_file(str(said["base"])), *keys] if said.get("base") else []


def _arm(given: Any) -> list[str]:
    if given == "single_task":
        return [PER_TASK]
    if not isinstance(given, Mapping):
        return [AS_IT_IS]
    keys = dict(given)
    runs = [PER_TASK] if keys.pop("single_task", None) is True else []
    groups, files = keys.pop("groups", None), keys.pop("extends", None) or []
    runs += [] if groups is None else [_groups(groups)]
    extended = [f"extends: {_file(str(file))}" for file in (files if isinstance(files, list) else [files])]
    return [*runs, *extended, *_keys(keys)] or [AS_IT_IS]


def _groups(groups: Any) -> str:
    if not isinstance(groups, list):
        return f"one run per group of {_file(str(groups))}"
    names = ["+".join(map(str, group)) if isinstance(group, list) else str(group) for group in groups]
    return f"one run per group: {_cut(', '.join(names))}"


def _file(path: str) -> str:
    """Name a file with the folder that it lies in: whole paths are of a machine."""
    return "/".join(part for part in PurePosixPath(path).parts[-2:] if part not in ("..", ".", "/"))


def _keys(keys: Mapping[str, Any]) -> list[str]:
    every = [f"{key}: {_value(value)}" for key, value in _leaves(keys)]
    left = len(every) - _MOST_KEYS
    return every if left <= 0 else [*every[:_MOST_KEYS], f"{name_count(left, 'more key')}"]


def _leaves(keys: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Give the keys of a mapping, dotted, with what is no mapping."""
    for key, value in keys.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _cut(value)
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return _cut(text.removesuffix("...\n").strip())


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
