"""Types and checks of the options of balancing methods."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias

from pydantic import Field

from hf_mtl.errors import Mistake, UserError
from hf_mtl.plain import describe, made_plain

Positive: TypeAlias = Annotated[float, Field(gt=0)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]
Share: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
Portion: TypeAlias = Annotated[float, Field(ge=0, le=1)]
FromOne: TypeAlias = Annotated[int, Field(ge=1)]
FromZero: TypeAlias = Annotated[int, Field(ge=0)]


def one_for_each(values: float | Sequence[float] | Mapping[str, float], num_tasks: int, option: str) -> list[float]:
    """Read an option that is one number, or one for each task in their order.

    Raises:
        UserError: If there are more or fewer numbers than tasks.
    """
    if isinstance(values, (int, float)):
        return [float(values)] * num_tasks
    found = [float(value) for value in (values.values() if isinstance(values, Mapping) else values)]
    if len(found) != num_tasks:
        remedy = f"Allowed: one number for each of {num_tasks} tasks."
        raise UserError(Mistake(option, f"found {describe(made_plain(values))}", remedy))
    return found


def all_shared(scope: str, reason: str) -> None:
    """Refuse a scope other than ``all``.

    Args:
        scope: The scope.
        reason: What the method does that a part of the shared parameters is not enough for.

    Raises:
        UserError: If it is another.
    """
    if scope != "all":
        raise UserError(Mistake("scope", f"found '{scope}', and {reason}", "Allowed: 'all'."))


def whole(value: int, what: str, at_least: int) -> int:
    """Return a whole number that the run says.

    Raises:
        ValueError: If it is not whole, or too small.
    """
    if not (math.isfinite(value) and value == int(value) and value >= at_least):
        raise ValueError(f"{what} is {value}; needs a whole number of at least {at_least}")
    return int(value)
