"""The rows of a step, dealt to the micro-batches of all processes: so many rows each, or so many tokens."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.plan import StepPlan, partition
from hf_mtl.data.rectangles import Rows
from hf_mtl.data.token_budget import BatchLimit, cut_evenly


@dataclass(frozen=True)
class Deal:
    """Deals the rows of a step; from the plan alone, so that all processes deal alike without a message.

    Args:
        world: Number of processes.
        accumulation: Micro-batches of each process per step; 1 where their tokens are limited.
        limit: The most that a micro-batch holds. Every process then has as many micro-batches in a step as any, and
            another step has more or fewer. None: there are always as many.
    """

    world: int
    accumulation: int = 1
    limit: BatchLimit | None = None

    def parts(self, plan: StepPlan, lengths: NDArray[np.integer[Any]], by_length: bool) -> list[Rows]:
        """Split a step's rows into micro-batches; the first of each process, then the second of each, and so on.

        Args:
            plan: The step.
            lengths: Tokens of each of its rows, [B].
            by_length: Whether all micro-batches are to cost about the same; see `hf_mtl.data.plan.partition`.

        Returns:
            Positions in the plan's rows, each ascending (ordered by task). A step of few rows leaves some without.
        """
        if plan.texts is not None and plan.drawn is not None:
            return self._of_texts(plan.texts, plan.drawn, lengths, by_length)
        if self.limit is None:
            return partition(plan, lengths, self.world * self.accumulation, by_length)
        found = [np.sort(rows) for rows in cut_evenly(lengths, self.limit, self.world)]
        return [*found, *(np.empty(0, dtype=np.int64) for _ in range(-len(found) % self.world))]

    def _of_texts(
        self, texts: Rows, drawn: StepPlan, lengths: NDArray[np.integer[Any]], by_length: bool
    ) -> list[Rows]:
        """Deal the texts of a step, each with all the rows that it is: it is encoded once for them."""
        of_texts = np.zeros(len(drawn.rows), dtype=lengths.dtype)
        of_texts[texts] = lengths
        owner = np.empty(len(drawn.rows), dtype=np.int64)
        parts = self.parts(drawn, of_texts, by_length)
        for number, part in enumerate(parts):
            owner[part] = number
        return [np.flatnonzero(owner[texts] == number) for number in range(len(parts))]
