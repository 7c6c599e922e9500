"""Tables of the keys of a JSON Schema, in Markdown."""

from typing import Any

import pytest

from hf_mtl.reporting.schema_tables import SchemaTables, plain_text, title

HEAD = {
    "description": "A head.\n\nArgs:\n    size: Width.",
    "properties": {
        "type": {"const": "wide"},
        "size": {"type": "integer", "description": "Width, as ``int``."},
        "deep": {"type": "boolean", "default": False, "description": "Add a layer."},
    },
    "required": ["type", "size"],
}
SECTION: dict[str, Any] = {
    "properties": {"head": {"anyOf": [{"$ref": "#/$defs/Head"}, {"type": "null"}], "default": None}}
}


@pytest.fixture
def tables() -> SchemaTables:
    return SchemaTables({"$defs": {"Head": HEAD}})


def test_a_section_has_its_keys_its_choices_and_their_options(tables: SchemaTables) -> None:
    keys, heading, names, options = tables.section(SECTION)
    assert "| `head` | mapping | `null` |" in keys
    assert heading == "### `head`"
    assert "| `wide` | A head. |" in names
    assert "| `wide` | `size` | whole number | must be given | Width, as `int`. |" in options
    assert "| `wide` | `deep` | true or false | `false` | Add a layer. |" in options


def test_what_a_section_requires_is_said_in_its_table(tables: SchemaTables) -> None:
    found = tables.keys({"path": {"type": "string"}, "name": {"type": "string"}}, {"x-required": ["path"]})
    assert "| `path` | text | must be given |  |" in found
    assert "| `name` | text |  |  |" in found


def test_mappings_without_a_name_stand_below_their_key(tables: SchemaTables) -> None:
    inner = {"type": "object", "description": "Both.", "properties": {"start": {"type": "number", "default": 1.0}}}
    found = list(tables.section({"properties": {"anneal": inner}}))
    assert found[1:3] == ["### `anneal: {...}`", "Both."]
    assert "| `start` | number | `1.0` |" in found[3]


def test_definitions_have_titles_and_docstrings_lose_their_arguments() -> None:
    assert title("RowFilter") == "filter"
    assert plain_text("One ``line``.\n\nTwo at 5%%.\n\nArgs:\n    a: b.") == "One `line`.\n\nTwo at 5%."
