"""Scalars of YAML 1.2: text to numbers, truth values and null."""

import math

from hf_mtl.plain import SCALARS

_INT64 = range(-(2**63), 2**63)
_LONGEST_INT = 1000


def scalar_value(text: str, kind: str) -> int | float | bool | None:
    """Return the value that a scalar is written as.

    Args:
        text: The scalar as it stands in the file.
        kind: ``null``, ``bool``, ``int`` or ``float``.

    Raises:
        ValueError: If the text is none of this kind.
        OverflowError: If it is a number that 64 bits do not hold.
    """
    # A tag that was written out, such as `!!bool yes`, may stand before anything.
    if not SCALARS[kind][0].match(text):
        raise ValueError(text)
    if kind == "null":
        return None
    return text.lower() == "true" if kind == "bool" else _number(text, kind)


def _number(text: str, kind: str) -> int | float:
    """Return a number that 64 bits hold."""
    if kind == "int":
        if len(text) > _LONGEST_INT:  # int() refuses thousands of digits in words of its own
            raise OverflowError(text)
        # What reads it later may fail at more than 64 bits, or take it for infinite.
        whole = int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if whole not in _INT64:
            raise OverflowError(text)
        return whole
    lowered = text.lower()
    if lowered.endswith(".inf"):
        return -math.inf if lowered.startswith("-") else math.inf
    number = math.nan if lowered == ".nan" else float(text)
    # float() makes infinity of 1e999. Only who writes .inf means it.
    if math.isinf(number):
        raise OverflowError(text)
    return number
