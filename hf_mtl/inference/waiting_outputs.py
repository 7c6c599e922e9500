"""Outputs of rows that wait until there are enough of them to become predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch.nn import functional as F

from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.inference.long_texts import averaged
from hf_mtl.inference.readable_rows import Reasons
from hf_mtl.tasks import Task
from hf_mtl.tasks.predicting import RowOutputs


@dataclass(frozen=True, eq=False)
class ReadRows:
    """The rows that one task reads.

    Args:
        rows: Which rows of all, ascending int64 [m].
        texts: Their text columns.
        split: Their tokens.
        place: Of each of all rows its place among these, -1 where it is not, int64 [n].
    """

    rows: NDArray[np.int64]
    texts: Dataset
    split: EncodedSplit
    place: NDArray[np.int64]


class WaitingOutputs:
    """Outputs of one task, which become those of rows when there are enough of them: batches of similar lengths need
    little filling up beside each other.

    Args:
        task: The task.
        read: Its rows.
        reasons: Takes the rows whose outputs are not finite.
    """

    def __init__(self, task: Task, read: ReadRows, reasons: Reasons):
        self._task = task
        self._read = read
        self._reasons = reasons
        self._parts: list[tuple[NDArray[np.int64], torch.Tensor, torch.Tensor | None]] = []
        self._size = 0

    def add(self, places: NDArray[np.int64], logits: torch.Tensor, variances: torch.Tensor | None) -> None:
        """Keep the outputs of a batch.

        Args:
            places: Places of its rows among those of the task.
            logits: Their outputs [B, ..., C].
            variances: Their variances, if the head has some.
        """
        self._parts.append((places, logits.float().cpu(), None if variances is None else variances.float().cpu()))
        self._size += logits.numel()

    def taken(self, enough: int = 0) -> tuple[NDArray[np.int64], RowOutputs] | None:
        """Give what is kept, and keep it no more.

        Args:
            enough: Nothing is given while there are not more numbers than that.

        Returns:
            Which rows, and what was made of them; None if there is nothing to give.
        """
        if not self._parts or self._size <= enough:
            return None
        parts, self._parts, self._size = self._parts, [], 0
        places = np.concatenate([part[0] for part in parts])
        outputs = _stacked([part[1] for part in parts], self._task.absent_output)
        several = [part[2] for part in parts if part[2] is not None]
        variances = _stacked(several, 0.0) if several and self._task.real_valued else None
        if self._task.outputs_per == "row" and self._read.split.sites is not None:
            counts = np.diff(self._read.split.sites.starts)[places]
            outputs = averaged(outputs, counts)
            variances = None if variances is None else averaged(variances, counts)
        finite = np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1)
        self._reasons[self._read.rows[places[~finite]]] = "the model's outputs are not finite"
        places, references = places[finite], self._read.split.references
        if not len(places):
            return None
        found = RowOutputs(
            outputs[finite],
            _chosen(self._read.texts, places),
            None if references is None else references[places],
            None if variances is None else variances[finite],
        )
        return self._read.rows[places], found


def _stacked(parts: Sequence[torch.Tensor], absent: float) -> np.ndarray:
    """Put outputs of several batches below each other, each filled up to the widest."""
    wide = [max(sizes) for sizes in zip(*(part.shape[1:-1] for part in parts), strict=True)]
    filled = []
    for part in parts:
        missing = [most - have for most, have in zip(wide, part.shape[1:-1], strict=True)]
        # Pairs of what is added before and after each axis, the last axis first.
        more = [0, 0, *(number for extra in reversed(missing) for number in (0, extra))]
        filled.append(F.pad(part, more, value=absent) if any(missing) else part)
    found: np.ndarray = torch.cat(filled).numpy()
    return found


def _chosen(rows: Dataset, places: NDArray[np.int64]) -> Dataset:
    """Select rows, where these are not all of them in their order."""
    return rows if np.array_equal(places, np.arange(len(rows))) else rows.select(places)
