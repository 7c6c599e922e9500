"""Predictions of one model for the rows of one task: every row once, in dataset order, on any number of processes."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from hf_mtl.batch import to_device
from hf_mtl.data.collate import Collator
from hf_mtl.data.token_budget import BatchLimit, cut_evenly
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.processes import Processes
from hf_mtl.tasks import Task
from hf_mtl.tasks.scoring import Outputs

PIECE = 1 << 22
"""Numbers that a process keeps before they go to the first one."""

_TURNS = 16  # forwards that processes make together before they ask each other whether to go on


class EvaluationLeft(Exception):
    """An evaluation that was left, on all processes, because a signal asks to stop."""


@dataclass(frozen=True)
class KeptOutputs:
    """Part of the outputs of a head that is kept.

    Args:
        of: From the outputs of some rows [B, ..., C] what is kept of them [B, K].
        shape: The shape of what is kept of a row, of K numbers.
        everywhere: Whether all processes get what is kept, or the first alone.
        read: From what was kept [n, K] what is scored; None: the outputs themselves were kept.
    """

    of: Callable[[Tensor], Tensor]
    shape: tuple[int, ...]
    everywhere: bool
    read: Callable[[np.ndarray], Outputs] | None = None

    @property
    def width(self) -> int:
        """Numbers K of a row that are kept."""
        return math.prod(self.shape)

    @classmethod
    def outputs(cls, task: Task, split: EncodedSplit, everywhere: bool) -> "KeptOutputs":
        """Keep all outputs of every row, and where rows have several, as many as the widest row has."""
        places = () if split.sites is None else split.sites.shape
        widen = partial(_widened, places=places, absent=task.absent_output)
        return cls(lambda outputs: widen(outputs).flatten(1), (*places, task.num_outputs), everywhere)

    @classmethod
    def to_score(cls, task: Task, split: EncodedSplit) -> "KeptOutputs":
        """Keep what a task's own scores want, on the first process."""
        places = () if split.sites is None else split.sites.shape
        compact = task.compact(places)
        if compact is None:
            return cls.outputs(task, split, everywhere=False)
        widen, small = partial(_widened, places=places, absent=task.absent_output), compact.of
        return cls(lambda outputs: small(widen(outputs)), (compact.width,), everywhere=False, read=compact.read)


def _widened(outputs: Tensor, places: tuple[int, ...], absent: float) -> Tensor:
    """Fill outputs [B, ..., C] up to the places that other rows have."""
    missing = [wide - have for wide, have in zip(places, outputs.shape[1:-1], strict=True)]
    if not any(missing):
        return outputs
    # Pairs of what is added before and after each axis, the last axis first.
    return F.pad(outputs, [0, 0, *(number for more in reversed(missing) for number in (0, more))], value=absent)


@dataclass(frozen=True)
class SplitPredictions:
    """Outputs of one task's head for one split, or what was kept of them, in dataset order.

    Args:
        outputs: The outputs in the units of the labels [n, C] or [n, ..., C], or what was kept of them [n, K].
        losses: Row losses, [n]; NaN where a row has no label.
        read: `KeptOutputs.read`.
    """

    outputs: NDArray[np.float32]
    losses: NDArray[np.float32]
    read: Callable[[np.ndarray], Outputs] | None = None


@dataclass(frozen=True)
class Predictor:
    """Runs splits through single heads of a model.

    The rows of a split are dealt to the processes in batches. Every so many batches the processes give what they have
    kept of them to the first, so that no other holds more than that.

    Args:
        forward: The forward of a `MultiTaskModel` in eval mode.
        limit: The most that a batch holds.
        processes: This process among the others.
        on_batch: Called after each batch; answers whether to go on.
        together: Whether a forward is a message to the others, so that all processes have to make as many.
    """

    forward: Callable[..., Any]
    limit: BatchLimit
    processes: Processes
    on_batch: Callable[[], bool]
    together: bool = False

    def batches(self, split: EncodedSplit) -> list[list[NDArray[np.int64]]]:
        """Return the rows of each batch of each process: similar lengths together, long ones first.

        Every row is in exactly one batch of exactly one process; nothing is repeated to fill up. The first process
        has the most batches.
        """
        found, world = cut_evenly(split.lengths, self.limit, self.processes.world), self.processes.world
        return [found[rank::world] for rank in range(world)]

    @torch.no_grad()
    def predict(
        self, name: str, split: EncodedSplit, collator: Collator, keep: KeptOutputs
    ) -> SplitPredictions | None:
        """Run a split through one head.

        Args:
            name: The task.
            split: Its rows.
            collator: A collator of this split alone, with stand-ins for missing labels.
            keep: What is kept of the outputs, and where.

        Returns:
            The predictions; None on a process that does not get them.

        Raises:
            EvaluationLeft: On every process, if any was not to go on.
        """

        def run(rows: NDArray[np.int64]) -> Tensor:
            """Return the outputs that are kept of a batch, and its row losses, [B, K + 1]."""
            batch = to_device(collator(np.zeros(len(rows), dtype=np.int64), rows), self.processes.device)
            output = self.forward(**batch)
            kept = keep.of(output.logits[name].float())
            losses = output.row_losses[name].float() if split.labelled else kept.new_zeros(len(rows))
            return torch.cat([kept, losses[:, None]], dim=1)

        found = self._run_in_pieces(run, split, keep)
        if found is None:
            return None
        losses = np.full(len(found), np.nan, dtype=np.float32)
        losses[split.scored] = found[split.scored, -1]
        return SplitPredictions(found[:, :-1].reshape(len(found), *keep.shape), losses, keep.read)

    def _run_in_pieces(
        self, run: Callable[[NDArray[np.int64]], Tensor], split: EncodedSplit, keep: KeptOutputs
    ) -> NDArray[np.float32] | None:
        """Return what ``run`` answers for all rows, in dataset order [n, K + 1]; None on a process that does not get
        it.
        """
        gets = keep.everywhere or self.processes.rank == 0
        found = np.empty((len(split), keep.width + 1), dtype=np.float32) if gets else None
        goes_on = True
        # Everybody knows who has which rows.
        most_batches = _TURNS if self.together else None
        for dealt in _pieces(self.batches(split), PIECE // (keep.width + 1), most_batches):
            rows_of = [np.concatenate([*batches, np.empty(0, dtype=np.int64)]) for batches in dealt]
            # One more row than fit, which says whether the process has left; all have the same shape.
            piece = torch.zeros(max(map(len, rows_of)) + 1, keep.width + 1, device=self.processes.device)
            filled = 0
            mine = dealt[self.processes.rank]
            for rows in mine:
                piece[filled : filled + len(rows)] = run(rows)
                filled += len(rows)
                goes_on = self.on_batch() and goes_on
                if not goes_on and not self.together:
                    break
            if self.together:
                for _ in range(len(dealt[0]) - len(mine)):
                    run(dealt[0][-1])  # of which nothing is kept
            piece[-1, -1] = float(not goes_on)
            pieces = self.processes.gather(piece)
            if bool(pieces[:, -1, -1].any()):
                raise EvaluationLeft
            if found is not None:
                for rows, values in zip(rows_of, pieces.cpu().numpy(), strict=True):
                    found[rows] = values[: len(rows)]
        return found


def _pieces(
    dealt: Sequence[Sequence[NDArray[np.int64]]], most_rows: int, most_batches: int | None = None
) -> Iterator[list[Sequence[NDArray[np.int64]]]]:
    """Go through the batches of all processes in pieces of so many rows of each, or of one batch that has more.

    Args:
        dealt: The rows of each batch of each process; the first has the most.
        most_rows: Rows of a piece.
        most_batches: Batches of a piece; None: as many as have these rows.
    """
    sizes = [[len(batch) for batch in batches] for batches in dealt]
    start = 0
    while start < len(sizes[0]):
        stop = start + 1
        end = len(sizes[0]) if most_batches is None else min(len(sizes[0]), start + most_batches)
        while stop < end and max(sum(mine[start : stop + 1]) for mine in sizes) <= most_rows:
            stop += 1
        yield [batches[start:stop] for batches in dealt]
        start = stop
