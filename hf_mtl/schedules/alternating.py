"""Alternating optimisation of heads and encoder."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hf_mtl.schedules.base import Effect, ParameterGroup, Run, Schedule, register


@register("alternating")
class Alternating(Schedule):
    """Trains the heads with the encoder frozen for ``period`` steps, then the encoder with the heads frozen, in turn.

    The global step counts, and never starts again. In a head phase the encoder runs without a graph.

    Source: "Few-Task Imbalanced Multi-Task Learning via Alternating Optimization". Departs from its code, where the
    phase starts again with every epoch and clipping sees stale gradients of the frozen group.

    Args:
        period: Optimizer steps of a phase.
    """

    def __init__(self, *, period: Annotated[int, Field(ge=1)] = 50):
        self.period = period

    def groups(self) -> Sequence[ParameterGroup]:
        """Return both groups, which it freezes in turn."""
        return ("encoder", "heads")

    def summary(self, run: Run) -> str:
        """Tell how long a phase is."""
        return f"{self.period:,} steps of the heads, {self.period:,} of the encoder, in turn"

    def without_effect(self, run: Run) -> str:
        """Tell if the run ends within the first phase."""
        return "the encoder is never trained" if self.period >= run.total_steps else ""

    def phase(self, steps: NDArray[np.int64], run: Run) -> NDArray[np.int64]:
        """Return 0 for the heads, 1 for the encoder."""
        return steps // self.period % 2

    def effect(self, step: int, run: Run) -> Effect:
        """Freeze the encoder in even phases, the heads in odd ones."""
        group: ParameterGroup = "encoder" if step // self.period % 2 == 0 else "heads"
        return replace(Effect.none(len(run.tasks)), frozen=frozenset([group]))
