"""Values of a config that no model can have, found before anything is built from them.

A config is a file of somebody's: a number in it says how many layers to make and how much memory to take.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral, Real
from reprlib import Repr
from typing import Any

import torch
from pydantic import ValidationError
from transformers import CONFIG_MAPPING, PreTrainedConfig

from hf_mtl.errors import Mistake, known
from hf_mtl.foreign_json import kind_of
from hf_mtl.tasks import Task, task_types, unknown_type

LARGEST = 2**31 - 1
"""No size of a tensor, no position and no id is larger."""

# Configs make lists of these lengths, and models a module for each layer.
_LENGTHS = ((re.compile(r"layers?$|blocks?$|depth"), 10_000), (re.compile(r"num_labels"), 1_000_000))
_DEEPEST = 20  # a config has three levels
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def is_number(value: object) -> bool:
    """Tell whether a value is a number, which true and false are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


_SOURCE = {"path", "revision", "dtype", "sha256"}


def _is_word(item: tuple[str, object]) -> bool:
    name, value = item
    return isinstance(value, str) or (name == "revision" and value is None)


# What the fields that are plain values can be, and in words.
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "pooling": (lambda value: isinstance(value, str), "the name of a pooling"),
    "backbone": (lambda value: isinstance(value, str), "a Hub id or python:package/folder"),
    "dropout": (is_number, "a probability in [0, 1)"),
    "max_length": (
        lambda value: isinstance(value, Integral) and not isinstance(value, bool) and 1 <= int(value) <= LARGEST,
        f"1 to {LARGEST:,} tokens",
    ),
    "task_names": (
        lambda value: isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value),
        "the names of the tasks",
    ),
    "calibration_temperatures": (
        lambda value: isinstance(value, Mapping) and all(map(is_number, value.values())),
        "a number for each task",
    ),
    "decisions": (lambda value: isinstance(value, Mapping), "what was chosen for each task"),
    "origins": (
        lambda value: isinstance(value, Mapping) and all(type(item) is int for item in value.values()),
        "a number for each task that was taken over",
    ),
    "encoder_source": (
        lambda value: isinstance(value, Mapping) and set(value) == _SOURCE and all(map(_is_word, value.items())),
        "path, revision, dtype and sha256 of the encoder's weights",
    ),
}


def absurd_values(fields: Mapping[str, Any], key: str = "") -> Iterator[Mistake]:
    """Find numbers that are too large for what they count, or no numbers, and nesting without end.

    Args:
        fields: A config as JSON.
        key: Dotted key of the config, for messages.
    """
    pending: list[tuple[str, Any, int]] = [(key, fields, 0)]
    while pending:
        place, value, depth = pending.pop()
        if depth > _DEEPEST:
            yield Mistake(place, f"is nested more than {_DEEPEST} levels deep")
        elif isinstance(value, Mapping):
            pending += [(f"{place}.{name}".lstrip("."), item, depth + 1) for name, item in value.items()]
        elif isinstance(value, list):
            pending += [(place, item, depth + 1) for item in value]
        elif isinstance(value, float) and math.isnan(value):
            yield Mistake(place, "is no number (nan)")
        elif isinstance(value, int) and abs(value) > (most := _most(place)):
            yield Mistake(place, f"is {shown(value)}", f"Allowed: at most {most:,}")


def encoder_mistakes(fields: object, own_type: str) -> Iterator[Mistake]:
    """Yield what is wrong with the backbone's config in a model's config.

    Args:
        fields: As JSON, or as the backbone's own class of configs.
        own_type: The ``model_type`` that it cannot have, that of the config around it.
    """
    key = "encoder_config"
    if fields is None or isinstance(fields, PreTrainedConfig):
        return
    if not isinstance(fields, Mapping):
        yield Mistake(key, f"is {kind_of(fields)}", "It is the config of the backbone")
        return
    found = fields.get("model_type", "bert")
    if not isinstance(found, str) or found not in CONFIG_MAPPING or found == own_type:
        yield Mistake(f"{key}.model_type", f"is {shown(found)}", "It is a backbone that transformers knows")
    yield from absurd_values(fields, key)
    yield from elsewhere(fields, key)


def own_mistakes(fields: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what is wrong with the values that every config has.

    Args:
        fields: The config as JSON.
    """
    others = {name: value for name, value in fields.items() if name not in ("encoder_config", "tasks")}
    yield from absurd_values(others)
    for name in ("dtype", "torch_dtype"):
        found = fields.get(name)
        kind = getattr(torch, found, None) if isinstance(found, str) else found
        if found is not None and not (isinstance(kind, torch.dtype) and kind.is_floating_point):
            yield Mistake(name, f"is {shown(found)}", "It is a precision, such as float32 or bfloat16")
    yield from elsewhere(fields)


def elsewhere(fields: Mapping[str, Any], key: str = "") -> Iterator[Mistake]:
    """Yield what would have transformers fetch other weights, or code, than what lies beside the config.

    Args:
        fields: A config as JSON. (Python code may name a kernel with ``attn_implementation=``.)
        key: Its dotted key, for messages.
    """
    start = f"{key}." if key else ""
    if fields.get("transformers_weights") is not None:
        yield Mistake(f"{start}transformers_weights", "names another file of weights", "Remove it")
    for name in ("attn_implementation", "_attn_implementation"):
        found = fields.get(name)
        if not isinstance(found, str | Mapping | None):
            yield Mistake(f"{start}{name}", f"is {shown(found)}", "It is a word, such as sdpa; take it out")
        elif "/" in str(found):  # a repository of kernels
            problem = f"names the attention kernel {shown(found)}, which is code of others"
            yield Mistake(
                f"{start}{name}", problem, "Take it out; give it to from_pretrained if you trust the kernel"
            )


def field_mistakes(config: object) -> Iterator[Mistake]:
    """Yield what is wrong with the fields of a model's config that are plain values.

    Args:
        config: The config, or whatever has its fields.
    """
    for name, (fits, wanted) in _FIELDS.items():
        value = getattr(config, name)
        if value is not None and not fits(value):
            yield Mistake(name, f"is {shown(value)}", f"Allowed: {wanted}")


def task_mistakes(tasks: object) -> Iterator[Mistake]:
    """Yield what is wrong with the tasks of a config, as JSON or as objects."""
    if not isinstance(tasks, Mapping):
        yield Mistake("tasks", f"is {kind_of(tasks)}", "It has a task for each name")
        return
    for name, task in tasks.items():
        key = f"tasks.{name}"
        if isinstance(task, Task):
            continue
        if not isinstance(task, Mapping):
            yield Mistake(key, f"is {kind_of(task)}", "A task has a type, columns and labels")
            continue
        wrong = list(absurd_values(task, key))
        yield from wrong or _invalid(task, key)


def _invalid(task: Mapping[str, Any], key: str) -> Iterator[Mistake]:
    kind = task.get("type")
    task_type = task_types().get(kind) if isinstance(kind, str) else None
    if task_type is None:
        yield unknown_type(kind, f"{key}.type")
        return
    try:
        task_type.model_validate(dict(task))
    except ValidationError as error:
        for item in error.errors(include_url=False, include_context=False):
            place = ".".join(map(str, item["loc"]))
            if item["type"] == "extra_forbidden":
                known_here = task_type.model_fields if len(item["loc"]) == 1 else ()
                remedy = known(known_here, str(item["loc"][-1])) if known_here else "Leave it out"
                yield Mistake(f"{key}.{place}", f"unknown field '{item['loc'][-1]}'", remedy)
            else:
                yield Mistake(f"{key}.{place}", f"is {shown(item['input'])}", item["msg"])
    except RecursionError:
        yield Mistake(key, "is nested without end")


def shown(value: object) -> str:
    """Return a value in a message, short."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python writes no integers of thousands of digits
        return f"{kind_of(value)} of thousands of digits"


def _most(key: str) -> int:
    name = key.rpartition(".")[2]
    return next((most for pattern, most in _LENGTHS if pattern.search(name)), LARGEST)
