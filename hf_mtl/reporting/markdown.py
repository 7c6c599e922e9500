"""Markdown: tables, and the parts of a document that a program writes."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay out cells as a Markdown table, the first row as its header."""
    header, *body = [[_cell(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *body))


def write_parts(path: Path, parts: Mapping[str, str]) -> None:
    """Put text into the marked parts of a document, and leave what stands around them as it is.

    A part begins with a line ``<!-- NAME: who writes it -->`` and ends with ``<!-- end of NAME -->``.

    Args:
        path: The document.
        parts: The text of each part, by name.

    Raises:
        ValueError: If the document has no such part.
    """
    text = path.read_text(encoding="utf-8")
    for name, part in parts.items():
        marks = re.compile(
            rf"(^<!-- {re.escape(name)}: .*? -->\n).*?(^<!-- end of {re.escape(name)} -->$)", re.M | re.S
        )
        found = marks.search(text)
        if found is None:
            raise ValueError(f"{path} has no part '{name}'")
        text = f"{text[: found.end(1)]}\n{part.strip()}\n\n{text[found.start(2) :]}"
    path.write_text(text, encoding="utf-8")


def _cell(text: str) -> str:
    """Return a cell on one line, whose bars end no cell."""
    return " ".join(text.split()).replace("|", "\\|")
