"""Templates of texts: words and columns in braces, which are put in as they are, and never evaluated."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# In braces, a column's name whatever it is: no dots, brackets, conversions or formats as in Python's own templates.
_PARTS = re.compile(r"(?P<open>\{\{)|(?P<close>\}\})|\{(?P<column>[^{}]*)\}|(?P<words>[^{}]+)|(?P<stray>.)", re.S)


@dataclass(frozen=True)
class Part:
    """A part of a template.

    Args:
        text: Words, or the name of a column.
        is_column: Whether it is a column.
    """

    text: str
    is_column: bool


def parse_template(template: str) -> list[Part]:
    """Read a template such as ``"{title}. {body}"``; a brace that is text is written twice.

    Args:
        template: The template.

    Raises:
        ValueError: If a brace stands alone, or there is no column; says what a template is.
    """
    parts = list(_parts(template))
    if not any(part.is_column for part in parts):
        raise ValueError("a text with columns in braces, such as '{title}. {body}'")
    return parts


def template_columns(template: str) -> list[str]:
    """Return the columns that a template names, in its order."""
    return [part.text for part in parse_template(template) if part.is_column]


def _parts(template: str) -> Iterator[Part]:
    for found in _PARTS.finditer(template):
        if found["stray"] is not None or found["column"] == "":
            raise ValueError("columns in braces, such as '{title}. {body}'; a brace that is text is written twice")
        if found["column"] is not None:
            yield Part(found["column"], is_column=True)
        else:
            yield Part({"{{": "{", "}}": "}"}.get(found[0], found[0]), is_column=False)
