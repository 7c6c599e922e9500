"""A recipe as text, with a comment above each guess."""

import shlex
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from hf_mtl.shown import shown

_WIDTH = 100


def flow(value: Any) -> str:
    """Write a value in one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False)
    return text.strip().removesuffix("...").strip()


def comment(text: str, indent: int = 0) -> list[str]:
    """Write a sentence as lines of a comment; nothing in it can end the comment."""
    pad = " " * indent + "# "
    return textwrap.wrap(shown(text), _WIDTH - indent, initial_indent=pad, subsequent_indent=pad)


def command(*words: str) -> str:
    """Write a command as a comment of one line, as a shell takes it."""
    return f"#     {shown(shlex.join(words))}"


def mapping(
    keys: Mapping[str, Any], indent: int, why: Mapping[str, str] | None = None, deep: Iterable[str] = ()
) -> Iterator[str]:
    """Write keys line by line, each below the comment that says why.

    Args:
        keys: Keys and values.
        indent: Blanks in front.
        why: Comments by key.
        deep: Keys whose mappings have a line for each of their own keys.
    """
    pad = " " * indent
    for key, value in keys.items():
        if why and why.get(key):
            yield from comment(f"{why[key][0].upper()}{why[key][1:]}".rstrip(".") + ".", indent)
        if key in deep and isinstance(value, Mapping):
            yield f"{pad}{flow(key)}:"
            yield from mapping(value, indent + 2, deep=deep)
        else:
            yield f"{pad}{flow(key)}: {flow(value)}"
