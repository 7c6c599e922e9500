"""Predictions of one model for the rows of one task: every row once, in dataset order, on any number of processes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_mtl.data.collate import Collator
from hf_mtl.data.loader import evaluation_batches
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.training.interruption import EvaluationLeft
from hf_mtl.training.processes import Processes


@dataclass(frozen=True)
class SplitPredictions:
    """The outputs of one task's head for one split, in dataset order.

    Args:
        outputs: Logits [n, C], or predicted targets in original units [n, D].
        losses: Row losses, [n]; NaN where a row has no label.
    """

    outputs: NDArray[np.float32]
    losses: NDArray[np.float32]


@torch.no_grad()
def predict_split(
    forward: Callable[..., Any],
    name: str,
    split: EncodedSplit,
    collator: Collator,
    width: int,
    batch_size: int,
    processes: Processes,
    on_batch: Callable[[], bool],
) -> SplitPredictions:
    """Run a split through one head.

    Each process fills its own rows of an array of zeros, and the arrays are added up: nothing is gathered in
    pieces of different shape, repeated to fill a batch, or put out of order.

    Args:
        forward: The forward of a `MultiTaskModel` in eval mode.
        name: The task.
        split: Its rows.
        collator: A collator of this split alone, with stand-ins for missing labels.
        width: Outputs of the head, C or D.
        batch_size: Rows of a batch.
        processes: This process among the others.
        on_batch: Called after each batch; answers whether to go on.

    Raises:
        EvaluationLeft: On every process, if any was not to go on.
        RuntimeError: If a row was not predicted exactly once.
    """
    # The last two columns: the row's loss, and how often it was predicted. The last row: whether a process has left.
    filled = torch.zeros(len(split.tokens) + 1, width + 2, dtype=torch.float32, device=processes.device)
    for rows in evaluation_batches(split.tokens.lengths, batch_size, processes.rank, processes.world):
        batch = to_device(collator(np.zeros(len(rows), dtype=np.int64), rows), processes.device)
        output = forward(**batch)
        index = torch.from_numpy(rows).to(processes.device)
        filled[index, :width] = output.logits[name].float()
        if split.labelled:
            filled[index, width] = output.row_losses[name].float()
        filled[index, width + 1] += 1
        if not on_batch():
            filled[-1, -1] = 1
            break
    filled = processes.reduce_sum(filled)
    filled, left = filled[:-1], bool(filled[-1, -1])
    if left:
        raise EvaluationLeft
    if not bool((filled[:, -1] == 1).all()):
        raise RuntimeError(f"evaluation of '{name}' did not count every row once; please report this")
    array = filled.cpu().numpy()
    losses = np.full(len(array), np.nan, dtype=np.float32)
    losses[split.scored] = array[split.scored, width]
    return SplitPredictions(outputs=array[:, :width], losses=losses)


def to_device(value: Any, device: torch.device) -> Any:
    """Move the tensors of a batch."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: to_device(item, device) for key, item in value.items()}
    if isinstance(value, list):
        return [to_device(item, device) for item in value]
    return value
