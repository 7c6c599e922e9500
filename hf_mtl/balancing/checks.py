"""What values options may have, refused in the same words by every method."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import Field

# For signatures, out of which the JSON Schema of recipes is made; a test compares them with what the methods refuse.
Positive: TypeAlias = Annotated[float, Field(gt=0)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]
Share: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
Portion: TypeAlias = Annotated[float, Field(ge=0, le=1)]
FromOne: TypeAlias = Annotated[int, Field(ge=1)]
FromZero: TypeAlias = Annotated[int, Field(ge=0)]


def choice(value: Any, allowed: Sequence[Any], what: str) -> Any:
    """One of a few values.

    Raises:
        ValueError: If it is none of them.
    """
    if value not in allowed:
        *others, last = map(repr, allowed)
        raise ValueError(f"{what} is {value!r}; needs {', '.join(others)}{' or ' if others else ''}{last}")
    return value


def number(
    value: float,
    what: str,
    *,
    at_least: float = -math.inf,
    above: float = -math.inf,
    at_most: float = math.inf,
    below: float = math.inf,
) -> float:
    """A finite number within bounds.

    Raises:
        ValueError: If it is not finite, or out of bounds.
    """
    # Strict beside infinite bounds, and false for nan.
    if not (above < value < below and at_least <= value <= at_most):
        raise ValueError(f"{what} is {value}; needs {_range(at_least, above, min(at_most, below), below <= at_most)}")
    return value


def positive(value: float, what: str) -> float:
    """A positive finite number.

    Raises:
        ValueError: If it is not.
    """
    return number(value, what, above=0)


def whole(value: int, what: str, at_least: int) -> int:
    """A whole number.

    Raises:
        ValueError: If it is not whole, or too small.
    """
    if not (math.isfinite(value) and value == int(value) and value >= at_least):
        raise ValueError(f"{what} is {value}; needs a whole number of at least {at_least}")
    return int(value)


def _range(at_least: float, above: float, high: float, without_high: bool) -> str:
    """The words for what a number has to be."""
    if math.isfinite(high):
        return f"a number from {at_least:g} to {'below ' if without_high else ''}{high:g}"
    if math.isfinite(above):
        return f"a number above {above:g}" if above else "a positive number"
    return f"a number of at least {at_least:g}" if math.isfinite(at_least) else "a finite number"
