"""Tables of the keys that a JSON Schema describes, in Markdown."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hf_mtl.recipe.json_schema import Schema
from hf_mtl.reporting.markdown import table
from hf_mtl.reporting.schema_words import default_words, type_words

_HEADER = ["key", "type", "default", ""]
_GIVE = "must be given"


class SchemaTables:
    """Tables of the keys that a JSON Schema describes.

    Args:
        schema: The JSON Schema of recipes.
    """

    def __init__(self, schema: Schema):
        self.definitions: dict[str, Schema] = schema["$defs"]
        # Mappings that stand below the table of the section that takes them.
        self.links = {name: f"[{title(name)}](#{title(name)})" for name in ("DatasetSource", "RowFilter")}
        self.links["MetricSpec"] = "[metric](#metric)"

    def section(self, schema: Schema) -> Iterator[str]:
        """Describe a section: its keys, then the mappings that they take."""
        yield self.keys(schema["properties"], schema)
        for key, value in schema["properties"].items():
            for field in ("type", "name"):
                if options := self._choices(value, field):
                    yield f"### `{key}`"
                    yield from self._choice_tables(options, field)
            for inner in self._mappings(value):
                yield f"### `{key}: {{...}}`"
                yield plain_text(inner.get("description", ""))
                yield self.keys(inner["properties"], inner)

    def named(self, schema: Schema, field: str) -> Iterator[str]:
        """Describe what is chosen by name from a list."""
        yield from self._choice_tables(self._choices(schema, field), field)

    def keys(self, properties: Mapping[str, Schema], owner: Mapping[str, Any] | None = None) -> str:
        """Lay out keys with their types, defaults and sentences as a table."""
        required = self._required(owner or {})
        rows = [
            [
                f"`{key}`",
                type_words(value, self.links),
                _default(value, key in required),
                plain_text(_sentence(value)),
            ]
            for key, value in properties.items()
        ]
        return table([_HEADER, *rows])

    def _choice_tables(self, options: Mapping[str, Schema], field: str) -> Iterator[str]:
        """Yield a table of the names and, where these have options, a table of them."""
        yield table(
            [[field, ""], *([f"`{name}`", plain_text(item["description"])] for name, item in options.items())]
        )
        rows = [
            [f"`{name}`", f"`{key}`", type_words(value, self.links), default, plain_text(_sentence(value))]
            for name, item in options.items()
            for key, value in item["properties"].items()
            if key != field and (default := _default(value, key in self._required(item)))
        ]
        if rows:
            yield table([[field, "option", "type", "default", ""], *rows])

    def _choices(self, schema: Schema, field: str) -> dict[str, Schema]:
        """Return the mappings that a key takes, by the name that their field must have."""
        found = (item for item in self._objects(schema) if "const" in item["properties"].get(field, {}))
        return {item["properties"][field]["const"]: item for item in found}

    def _mappings(self, schema: Schema) -> list[Schema]:
        """Return the mappings that a key takes and that have no name."""
        return [item for item in self._objects(schema) if not _is_named(item)]

    def _objects(self, schema: Schema) -> Iterator[Schema]:
        if "properties" in schema:
            yield schema
        if "$ref" in schema:
            yield from self._objects(self.definitions[schema["$ref"].rpartition("/")[2]])
        for arm in (*schema.get("anyOf", ()), *([schema["items"]] if schema.get("items") else ())):
            yield from self._objects(arm)

    @staticmethod
    def _required(owner: Mapping[str, Any]) -> set[str]:
        return {*owner.get("required", ()), *owner.get("x-required", ())}


def _is_named(item: Schema) -> bool:
    """Tell whether it is one of several mappings that are told apart by their names."""
    return any("const" in item["properties"].get(field, {}) for field in ("type", "name"))


def title(name: str) -> str:
    """Return what a definition is called: ``RowFilter`` is a filter."""
    return {"DatasetSource": "dataset", "RowFilter": "filter", "MetricSpec": "metric"}[name]


def _default(value: Schema, required: bool) -> str:
    if "default" in value:
        return f"`{default_words(value['default'])}`"
    return _GIVE if required else ""


def _sentence(value: Schema) -> str:
    return str(value.get("description", ""))


def plain_text(text: str) -> str:
    """Return a docstring as Markdown: its first paragraphs, without what follows them."""
    text = re.split(r"\n\s*\n(?=\w+:\n)", text)[0].replace("%%", "%")  # as argparse needs it
    return re.sub(r"``(.*?)``", r"`\1`", text)
