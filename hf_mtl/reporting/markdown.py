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
        if not marks.search(text):
            raise ValueError(f"{path} has no part '{name}'")
        # A function: backslashes of the text are no references to groups.
        text = marks.sub(lambda found, part=part: f"{found[1]}\n{part.strip()}\n\n{found[2]}", text)  # type: ignore[misc]
    path.write_text(text, encoding="utf-8")


def parts_of(text: str) -> dict[str, str]:
    """Read the marked parts of a document, by name."""
    found = re.findall(r"^<!-- ([^:\n]+): .*? -->\n(.*?)^<!-- end of \1 -->$", text, re.M | re.S)
    return {name: part.strip() for name, part in found}


def _cell(text: str) -> str:
    """Return a cell on one line, whose bars end no cell."""
    return " ".join(text.split()).replace("|", "\\|")
