"""Types and defaults of a JSON Schema, in words."""

from typing import Any

import pytest

from hf_mtl.reporting.schema_words import default_words, type_words
from hf_mtl.signatures import LARGEST

NULL = {"type": "null"}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "anything"),
        ({"type": "string"}, "text"),
        ({"type": ["boolean", "null"]}, "true or false"),
        ({"enum": ["a", 1, True]}, "`a`, `1`, `true`"),
        ({"const": "mlp"}, "`mlp`"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "number > 0, ≤ 1"),
        ({"type": "integer", "minimum": -LARGEST, "maximum": LARGEST}, "whole number"),
        ({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}, NULL]}, "whole number ≥ 1 or text"),
        ({"anyOf": [{"anyOf": [{"type": "string"}, NULL]}, NULL]}, "text"),
        ({"type": "array", "items": {"type": "string"}}, "list of text"),
        ({"type": "array", "prefixItems": [{"type": "number"}]}, "list"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "mapping to number"),
        ({"type": "object", "additionalProperties": True}, "mapping"),
        ({"$ref": "#/$defs/Here"}, "[here](#here)"),
        ({"$ref": "#/$defs/There"}, "mapping"),
        ({"enum": [f"w{i}" for i in range(20)]}, "`w0`, `w1`, `w2`, ... (20 words)"),
    ],
)
def test_a_type_in_words(schema: dict[str, Any], words: str) -> None:
    assert type_words(schema, {"Here": "[here](#here)"}) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "true"),
        ("rows", "rows"),
        ("", '""'),
        (0.1, "0.1"),
        ([3, 4], "[3, 4]"),
        ([{"name": "f1_macro"}], "[f1_macro]"),
        ({"classification": 1.0}, "{classification: 1.0}"),
    ],
)
def test_a_default_as_a_recipe_writes_it(value: Any, words: str) -> None:
    assert default_words(value) == words
