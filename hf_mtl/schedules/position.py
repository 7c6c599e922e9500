"""A point of a run, as a recipe gives it: a fraction of the run, a step, or an epoch."""

import math
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from hf_mtl.schedules.base import Run

Point = Annotated[dict[Literal["step", "epoch"], Annotated[float, Field(ge=0)]], Field(min_length=1, max_length=1)]
At: TypeAlias = Annotated[float, Field(ge=0, le=1)] | Point


def step_of(at: At, run: Run) -> int:
    """Return the first step at or after a point of the run.

    Args:
        at: A fraction of the run, ``{step: n}`` or ``{epoch: n}``.
        run: The run.
    """
    if not isinstance(at, dict):
        return math.ceil(round(at * run.total_steps, 9))
    if "step" in at:
        return math.ceil(at["step"])
    return math.ceil(round(at["epoch"] * run.steps_per_epoch, 9))
