"""A mixture's temperature that moves with the run."""

import math
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

Positive: TypeAlias = Annotated[float, Field(gt=0)]
Shape = Literal["linear", "cosine", "exponential"]


def annealed_temperature(
    progress: float,
    start: Positive = 1.0,
    end: Positive = 5.0,
    shape: Shape = "linear",
    begin: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    stop: Annotated[float, Field(gt=0, le=1)] = 1.0,
) -> float:
    """Return the temperature at a point of training.

    With x = clip((progress - begin) / (stop - begin), 0, 1): ``linear`` start + (end - start) x, ``cosine``
    end + (start - end)(1 + cos(pi x)) / 2, ``exponential`` start (end / start)^x.

    Args:
        progress: Optimizer step / total steps, in [0, 1].
        start: Temperature until ``begin``.
        end: Temperature from ``stop`` on.
        shape: ``linear``, ``cosine`` or ``exponential``.
        begin: Progress at which the change begins.
        stop: Progress at which it ends.
    """
    x = min(max((progress - begin) / (stop - begin), 0.0), 1.0)
    if shape == "linear":
        return start + (end - start) * x
    if shape == "cosine":
        return end + (start - end) * (1 + math.cos(math.pi * x)) / 2
    found: float = start * (end / start) ** x
    return found
