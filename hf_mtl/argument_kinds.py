"""Kinds of value of the training arguments: a recipe's schema asks for them, and so does the Python API."""

import json
import math
from collections.abc import Iterator
from enum import Enum
from functools import cache
from numbers import Integral, Real
from os import PathLike
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from hf_mtl.errors import Mistake, nearest

_KINDS = {bool: "True or False", int: "a whole number", float: "a number"}
# Infinity says here that there is no limit.
_UNLIMITED = ("max_grad_norm", "max_flops")
_NONE = {"max_grad_norm": "Set 0, which clips nothing"}
_MORE_CHOICES = {"optim": ("adamax",)}
_TEXTS = {
    "optim_args": "Allowed: a text such as momentum=0.9,nesterov=true",
    "metric_for_best_model": "Allowed: the name of a score, such as average",
}


def kind_mistakes(args: object, declared: type) -> Iterator[Mistake]:
    """Find values that are no number where one belongs, neither on nor off, or none of the choices.

    Without this they fail in the middle of training, or a text such as ``"false"`` counts as on; and transformers
    says the first wrong choice alone, with every choice that there is.

    Args:
        args: The arguments.
        declared: The class whose annotations say what belongs where.
    """
    for name, kinds in _kinds(declared).items():
        value = getattr(args, name)
        if value is None and (NoneType in kinds or bool in kinds):
            continue  # None is as good as off
        kind = next(kind for kind in _KINDS if kind in kinds)
        if not _is(kind, value):
            remedy = _NONE.get(name) if value is None else None
            yield Mistake(f"training.{name}", f"is {value!r}", remedy or f"Allowed: {_KINDS[kind]}")
        elif math.isnan(value) or (math.isinf(value) and name not in _UNLIMITED):
            allowed = "a number" if name in _UNLIMITED else "a finite number"
            yield Mistake(f"training.{name}", f"is {value}", f"Allowed: {allowed}")
    for name, remedy in _TEXTS.items():
        value = getattr(args, name)
        if value is not None and not isinstance(value, str):
            yield Mistake(f"training.{name}", f"is {value!r}", remedy)
    for name, choices in _choices(declared).items():
        value = getattr(args, name)
        if getattr(value, "value", value) not in choices:
            yield Mistake(f"training.{name}", f"unknown value {value!r}", nearest(choices, str(value)))
    yield from _unreadable(args)
    yield from _no_folder(getattr(args, "output_dir", None))


def _no_folder(folder: object) -> Iterator[Mistake]:
    """Find what names no folder of this machine; None: the default."""
    key, allowed = "training.output_dir", "Allowed: the path of a folder"
    if folder is not None and not (isinstance(folder, str | PathLike) and str(folder)):
        yield Mistake(key, f"is {folder!r}", allowed)
    elif "://" in str(folder):  # it would become a folder of that name
        remedy = f"{allowed} of this machine; push_to_hub brings a model to the Hub"
        yield Mistake(key, f"is {str(folder)!r}, an address", remedy)


def _unreadable(args: object) -> Iterator[Mistake]:
    """Find options in a text that begins like JSON, and so is read as JSON, and is none."""
    for name in getattr(args, "_VALID_DICT_FIELDS", ()):
        text = getattr(args, name)
        if isinstance(text, str) and text.startswith("{"):
            try:
                json.loads(text)
            except ValueError as error:
                yield Mistake(f"training.{name}", f"is {text!r}, which is no JSON: {error}", "Give a mapping")


def make_whole(args: object, declared: type) -> None:
    """Turn ``8.0`` into 8 where a whole number belongs, and numbers of numpy into plain ones.

    `range` and slices take nothing else; what is saved as JSON, and some optimizers, take no numbers of numpy.
    """
    for name, kinds in _kinds(declared).items():
        value = getattr(args, name)
        if isinstance(value, np.generic):
            value = value.item()
            setattr(args, name, value)
        if int in kinds and isinstance(value, float) and value.is_integer():
            setattr(args, name, int(value))


@cache
def _choices(declared: type) -> dict[str, tuple[Any, ...]]:
    """Find the fields that are one of some words, and the words."""
    hints: dict[str, Any] = get_type_hints(declared)
    found = {}
    for name, hint in hints.items():
        if get_origin(hint) is Literal:
            found[name] = get_args(hint)
        for kind in get_args(hint):
            if isinstance(kind, type) and issubclass(kind, Enum):
                found[name] = (*(choice.value for choice in kind), *_MORE_CHOICES.get(name, ()))
    return found


@cache
def _kinds(declared: type) -> dict[str, tuple[type, ...]]:
    """Return the fields that are numbers, or on or off, and what each may be."""
    hints: dict[str, Any] = get_type_hints(declared)
    kinds = {name: get_args(hint) or (hint,) for name, hint in hints.items()}
    return {name: found for name, found in kinds.items() if set(found) <= {*_KINDS, NoneType}}


def _is(kind: type, value: object) -> bool:
    if kind is bool:
        return isinstance(value, bool | np.bool_) or (isinstance(value, int) and value in (0, 1))
    return isinstance(value, Integral if kind is int else Real)
