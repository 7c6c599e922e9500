"""Types and defaults of a JSON Schema, in words."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from hf_mtl.signatures import LARGEST

_MANY = 12  # words, which nobody reads in a cell
_PLAIN = {"string": "text", "boolean": "true or false", "null": "null"}
_NUMBERS = {"integer": "whole number", "number": "number"}


def type_words(schema: Mapping[str, Any], links: Mapping[str, str]) -> str:
    """Say what a key takes; that null is the same as nothing is said once for all keys, and left out here.

    Args:
        schema: The JSON Schema of the key.
        links: How a definition is called, by its name; others are mappings.
    """
    found = dict.fromkeys(word for word in _words(schema, links) if word != "null")
    return " or ".join(found) or "anything"


def default_words(value: Any) -> str:
    """Say a default as a recipe writes it."""
    if isinstance(value, Mapping):
        # A metric without options is its name.
        if set(value) == {"name"}:
            return str(value["name"])
        return "{" + ", ".join(f"{key}: {default_words(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(default_words, value)) + "]"
    return value if isinstance(value, str) and value else json.dumps(value)


def _words(schema: Mapping[str, Any], links: Mapping[str, str]) -> Iterator[str]:
    if "anyOf" in schema:
        for arm in schema["anyOf"]:
            yield from _words(arm, links)
    elif "$ref" in schema:
        yield links.get(schema["$ref"].rpartition("/")[2], "mapping")
    elif "const" in schema or "enum" in schema:
        yield _choices([schema["const"]] if "const" in schema else schema["enum"])
    else:
        types = schema.get("type", [])
        for kind in [types] if isinstance(types, str) else types:
            yield _of_kind(kind, schema, links)


def _choices(values: list[Any]) -> str:
    words = [f"`{default_words(value)}`" for value in values]
    if len(words) <= _MANY:
        return ", ".join(words)
    return f"{', '.join(words[:3])}, ... ({len(words)} words)"


def _of_kind(kind: str, schema: Mapping[str, Any], links: Mapping[str, str]) -> str:
    if kind in _NUMBERS:
        return f"{_NUMBERS[kind]}{_bounds(schema)}"
    if kind == "array":
        return f"list of {type_words(schema['items'], links)}" if schema.get("items") else "list"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"mapping to {type_words(inner, links)}" if isinstance(inner, Mapping) else "mapping"
    return _PLAIN[kind]


def _bounds(schema: Mapping[str, Any]) -> str:
    """Return the limits of a number, without those that only keep a whole number within 32 bits."""
    signs = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
    limits = [(sign, schema[key]) for key, sign in signs if abs(schema.get(key, LARGEST)) < LARGEST]
    return "".join(f" {sign} {limit:g}" for sign, limit in limits).replace(" ≤", ", ≤").replace(" <", ", <")
