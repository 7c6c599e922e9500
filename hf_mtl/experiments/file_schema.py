"""JSON Schemas of the files that describe experiments, for completion and checks in editors."""

from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BaseModel


def _named(folder: str) -> str:
    if not folder.strip():  # it would be the current folder
        raise ValueError("the path of a folder")
    return folder


Folder: TypeAlias = Annotated[str, AfterValidator(_named)]
"""The path of a folder; none is not the current one."""


def file_schema(model: type[BaseModel], kind: str) -> dict[str, Any]:
    """Build the JSON Schema (2020-12) of a kind of file, which may extend others of its kind.

    Args:
        model: Its keys.
        kind: What it is called: ``study`` or ``sweep``.
    """
    found = model.model_json_schema()
    extends = {
        "description": "Files of this kind that this one extends, relative to it; this one wins.",
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": f"hf_mtl {kind}",
        "properties": {**found["properties"], "extends": extends},
        "$defs": found.get("$defs", {}),
    }
