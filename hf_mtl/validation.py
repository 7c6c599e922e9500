"""Validation of plain values by pydantic, with its errors in plain words: what was found, what is allowed."""

import json
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hf_mtl.errors import Mistake, near_names, nearest
from hf_mtl.plain import KeyPath, describe, dotted

MOST_MISTAKES = 50
"""So many mistakes of one section, or recipe, are said; nobody reads more."""

M = TypeVar("M", bound=BaseModel)
Error = dict[str, Any]

# Errors that only say: this is no value of that type. One per arm of a union.
_SHAPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "nothing",
}
_LIMITS: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than": lambda ctx: f"more than {_number(ctx['gt'])}",
    "greater_than_equal": lambda ctx: f"at least {_number(ctx['ge'])}",
    "less_than": lambda ctx: f"less than {_number(ctx['lt'])}",
    "less_than_equal": lambda ctx: f"at most {_number(ctx['le'])}",
    "finite_number": lambda ctx: "a finite number",
    "too_short": lambda ctx: f"at least {ctx['min_length']} items",
    "too_long": lambda ctx: f"at most {ctx['max_length']} items",
}


def validate(model: type[M], data: Any, key: KeyPath, mistakes: list[Mistake]) -> M | None:
    """Validate plain values; None if they are not valid.

    Args:
        model: What they should be.
        data: Plain values.
        key: Key path of the data in a recipe.
        mistakes: Receives what is wrong.
    """
    try:
        # Strict, because a recipe that says `true` for a number means something else; as JSON, because there
        # a list may become a tuple all the same.
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        mistakes.extend(_translate(model, error.errors(), data, key))
        return None


def _translate(model: type[BaseModel], errors: list[Any], data: Any, key: KeyPath) -> list[Mistake]:
    groups: dict[KeyPath, list[Error]] = {}
    for error in errors:
        groups.setdefault(_path(error, data), []).append(error)
    above = {path[:length] for path in groups for length in range(len(path))}
    mistakes: list[Mistake] = []
    for number, (path, group) in enumerate(groups.items()):
        if len(mistakes) >= MOST_MISTAKES:  # looking up what was meant takes long
            return [*mistakes, Mistake(dotted(key), f"and at {len(groups) - number:,} more places")]
        firm = [error for error in group if not _is_mismatch(error)]
        if firm:
            mistakes.extend(_firm(model, error, path, key, data) for error in firm)
        elif path not in above:
            mistakes.append(_mismatch(group, _value(data, path), key + path))
    return mistakes


def without_mistakes(model: type[M], data: dict[str, Any]) -> M | None:
    """Return what is left when the keys with mistakes are taken out, to look at the other keys together; None if too
    little.

    Args:
        model: What the data should be.
        data: Plain values.
    """
    for _ in range(2):
        try:
            return model.model_validate_json(json.dumps(data), strict=True)
        except ValidationError as error:
            wrong = {error["loc"][0] for error in error.errors() if error["loc"]}
            data = {key: value for key, value in data.items() if key not in wrong}
    return None


def _path(error: Error, data: Any) -> KeyPath:
    """Return the key path of an error, without the names that pydantic gives to the arms of a union."""
    path: list[str | int] = []
    for place, part in enumerate(error["loc"]):
        if (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            data = data[part]
            path.append(part)
        elif error["type"] == "missing" and place == len(error["loc"]) - 1:
            path.append(part)
    return tuple(path)


def _value(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = data[part]
    return data


def _is_mismatch(error: Error) -> bool:
    return error["type"] in _SHAPES or (error["type"] == "literal_error" and error["loc"][-1] != "[key]")


def _mismatch(group: list[Error], found: Any, key: KeyPath) -> Mistake:
    """Make one mistake for all arms of a union that the value is not."""
    words = [word for error in group if error["type"] == "literal_error" for word in _words(error)]
    shapes = list(dict.fromkeys(_SHAPES[error["type"]] for error in group if error["type"] in _SHAPES))
    if words and not shapes:
        return Mistake(dotted(key), f"unknown value {describe(found)}", nearest(words, str(found)))
    near = near_names(words, str(found), cutoff=0.6)
    allowed = [*shapes, *(f"'{word}'" for word in words)]
    text = allowed[0] if len(allowed) == 1 else f"{', '.join(allowed[:-1])} or {allowed[-1]}"
    hint = f" Did you mean '{near[0]}'?" if near else ""
    if shapes == ["text"] and isinstance(found, (bool, int, float)):
        hint = " Put it in quotes."
    return Mistake(dotted(key), f"found {describe(found)}", f"Allowed: {text}.{hint}")


def _words(error: Error) -> list[str]:
    return [word.strip("'") for word in error["ctx"]["expected"].replace(" or ", ", ").split(", ")]


def _firm(model: type[BaseModel], error: Error, path: KeyPath, key: KeyPath, data: Any) -> Mistake:
    """Return a mistake that is not only a question of type."""
    full, kind = dotted(key + path), error["type"]
    if kind == "extra_forbidden":
        fields = _fields_at(model, path[:-1])
        home = _home(fields, str(path[-1]), _value(data, path[:-1]))
        return unknown_key(full, str(path[-1]), map(str, fields), home)
    if kind == "literal_error":  # of a key, not of a value
        return unknown_key(full, str(path[-1]), _words(error))
    if kind == "missing":
        fields = _fields_at(model, path[:-1])
        text = fields[path[-1]].description if path[-1] in fields else None
        return Mistake(full, "missing", text or "It has no default.")
    if kind in _LIMITS:
        return Mistake(full, f"found {describe(error['input'])}", f"Allowed: {_LIMITS[kind](error.get('ctx', {}))}.")
    reason = str(error["ctx"]["error"]) if kind == "value_error" else error["msg"]
    return Mistake(full, f"found {describe(error['input'])}", f"Allowed: {reason}.")


def _number(limit: float) -> str:
    """Return a limit as a recipe writes it: 0, not 0.0."""
    return str(int(limit)) if limit == int(limit) else str(limit)


def unknown_key(key: str, name: str, names: typing.Iterable[str], home: str | None = None) -> Mistake:
    """Return the mistake of a key that is not known where it stands.

    Args:
        key: The whole dotted key.
        name: Its last part.
        names: The keys that are known there.
        home: One of them, below which it belongs.
    """
    if home is None:
        return Mistake(key, f"unknown key '{name}'", nearest(names, name))
    place = dotted((*key.split(".")[:-1], home, name))
    return Mistake(key, f"unknown key '{name}'", f"It belongs to {home}: write {place}.")


def _home(fields: Mapping[str | int, Any], name: str, beside: Mapping[str, Any]) -> str | None:
    """Find the section of one level below that has a key, and either is given or needs no other key."""
    for section, field in fields.items():
        for model in _sections_in(field.annotation):
            needed = {other for other, at in model.model_fields.items() if at.is_required()} - {name}
            if name in model.model_fields and (not needed or isinstance(beside.get(str(section)), Mapping)):
                return str(section)
    return None


def _fields_at(model: type[BaseModel], path: KeyPath) -> dict[str | int, Any]:
    """Return the fields of the model, or models, at a key path below a model."""
    models = [model]
    for part in path:
        found = [field.annotation for at in models for name, field in at.model_fields.items() if name == part]
        if found:
            models = [at for annotation in found for at in _models_in(annotation)]
    return {name: field for at in models for name, field in at.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arm in typing.get_args(annotation) for model in _models_in(arm)]


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that a key holds itself; those of a mapping stand below names of the user's."""
    if isinstance(typing.get_origin(annotation), type) and issubclass(typing.get_origin(annotation), Mapping):
        return []
    arms = typing.get_args(annotation)
    return [model for arm in arms for model in _sections_in(arm)] if arms else _models_in(annotation)
