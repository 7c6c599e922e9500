"""Pieces of Markdown, in which names of users stand as they are."""

import re
from collections.abc import Iterable, Sequence

_MANY = 20


def heading(level: int, text: str) -> str:
    """Return a heading."""
    return f"{'#' * level} {escaped(text)}"


def code(text: object) -> str:
    """Return words as code, whatever characters are in them."""
    words = " ".join(str(text).split()) or " "
    longest = max((len(run) for run in re.findall("`+", words)), default=0)
    marks = "`" * (longest + 1)
    space = " " if words.startswith("`") or words.endswith("`") else ""
    return f"{marks}{space}{words}{space}{marks}"


def escaped(text: str) -> str:
    """Return words in which nothing is taken for Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def listed(names: Sequence[object]) -> str:
    """Return names as code, of very many the first ones."""
    more = f" and {len(names) - _MANY:,} more" if len(names) > _MANY else ""
    return ", ".join(map(code, names[:_MANY])) + more


def bullets(items: Iterable[str]) -> str:
    """Return a list of sentences."""
    return "\n".join(f"- {item}" for item in items)


def fenced(language: str, text: str) -> str:
    """Return a block of code, whose fence is longer than any in it."""
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
