"""Plain values, which YAML and JSON can say: read from Python's, written as YAML, shown in messages."""

import enum
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import yaml

KeyPath = tuple[str | int, ...]

TAG = "tag:yaml.org,2002:"
MERGE = "<<"  # in quotes it is a word like any other
SCALARS: dict[str, tuple[re.Pattern[str], list[str]]] = {
    "null": (re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    "bool": (re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    "int": (re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")),
    "float": (
        re.compile(
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        list("-+.0123456789"),
    ),
}
"""Spellings of the scalars of YAML 1.2, and the characters that each may begin with."""

_LONGEST_SHOWN = 200  # a file that is no recipe may be read as one long text
_LONGEST_LINE = 60  # of a mapping or list that is shown whole
_LONGEST_INT = 100  # bits; Python writes no integers of thousands of digits


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would not read as text."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Blanks at either end, line breaks of every kind and what cannot be seen only survive in double quotes.
    style = None if text.isprintable() and text == text.strip() and text != MERGE else '"'
    return dumper.represent_scalar(TAG + "str", text, style=style)


_Dumper.add_representer(str, _represent_text)
for _kind, (_pattern, _first) in SCALARS.items():
    _Dumper.add_implicit_resolver(TAG + _kind, _pattern, _first)


def dump_yaml(data: Any) -> str:
    """Write plain values so that a recipe's reader gets the same ones back."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=118)
    return text


def dotted(path: KeyPath) -> str:
    """Write a key path as the user does: ``tasks.emotion.label``."""
    return ".".join(str(part) for part in path)


def made_plain(value: Any) -> Any:
    """Make plain what Python has other words for: tuples, mappings, enums, paths, and numbers of numpy and torch.

    What no plain value stands for, such as a function, stays as it is.
    """
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): made_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [made_plain(item) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    numbers = hasattr(value, "tolist") and not isinstance(value, type)
    return value.tolist() if numbers else value


def describe(value: Any) -> str:
    """Show a plain value in a message: what was found, in the words of YAML."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        kind = "a mapping" if isinstance(value, dict) else "a list"
        if _is_long(value):  # which takes seconds to write, only to be left out
            return kind
        text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=10_000, sort_keys=False).strip()
        return text if len(text) <= _LONGEST_LINE else kind
    if isinstance(value, int) and value.bit_length() >= _LONGEST_INT:
        return f"a number of {value.bit_length():,} bits"
    return f"'{shorten(value)}'" if isinstance(value, str) else str(value)


def _is_long(value: Any) -> bool:
    """Tell whether a mapping or list has more values than characters could be shown."""
    waiting, seen = [value], 0
    while waiting:
        found = waiting.pop()
        seen += 1
        children = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
        if seen + len(children) > _LONGEST_LINE:
            return True
        waiting.extend(children)
    return False


def shorten(text: str) -> str:
    """Cut a text that is too long for a message."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
