"""The reference of every file: recipes, studies and sweeps, as Markdown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

from hf_mtl.experiments.compare.schema import study_schema
from hf_mtl.experiments.sweep.file import sweep_schema
from hf_mtl.recipe import json_schema
from hf_mtl.reporting.recipe_reference import recipe_reference
from hf_mtl.reporting.schema_tables import SchemaTables, plain_text

Kind: TypeAlias = Literal["recipe", "study", "sweep"]
KINDS: tuple[Kind, ...] = ("recipe", "study", "sweep")

_STUDY = """\
The file of the command `compare`: how the keys work together is told in the [guide](guide.md#studies).
`hf-mtl schema study` prints the same as JSON Schema."""

_SWEEP = """\
The file of the command `sweep`: how the keys work together is told in the [guide](guide.md#sweeps).
`hf-mtl schema sweep` prints the same as JSON Schema."""


def schema_of(kind: Kind) -> dict[str, Any]:
    """Return the JSON Schema of a kind of file.

    Args:
        kind: The kind.
    """
    return {"recipe": json_schema, "study": study_schema, "sweep": sweep_schema}[kind]()


def reference(kind: Kind, folder: Path) -> str:
    """Write the page of all keys of a kind of file; that of recipes has the others too.

    Args:
        kind: The kind.
        folder: Where the recipes are that it links to.
    """
    sections = {"study": _study(), "sweep": _sweep()}
    if kind == "recipe":
        return recipe_reference(folder, [part for section in sections.values() for part in section])
    return "\n\n".join(sections[kind])


def _study() -> Iterator[str]:
    schema = study_schema()
    yield "## Studies"
    yield _STUDY
    yield from SchemaTables(schema).section(schema)


def _sweep() -> Iterator[str]:
    schema = sweep_schema()
    page, values = SchemaTables(schema), schema["$defs"]["Values"]
    yield "## Sweeps"
    yield _SWEEP
    yield from page.section(schema)
    yield "### `search: {KEY: {...}}`"
    yield plain_text(values["description"])
    yield page.keys(values["properties"], values)
