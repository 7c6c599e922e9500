"""Rows of a padded rectangle as a collator packs them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hf_mtl.batch import Packed
from hf_mtl.data.rectangles import cut_by_task, rectangles_of


def pack(
    ids: Tensor,
    mask: Tensor,
    groups: Sequence[Sequence[int]] | None = None,
    types: Tensor | None = None,
    tasks: Sequence[int] | None = None,
    pad_id: int = 0,
) -> Packed:
    """Put the rows of a rectangle [B, L] end to end.

    Args:
        ids: Token ids, padded on the right.
        mask: 1 for real tokens.
        groups: Rows of each rectangle; None: all in one.
        types: Token types.
        tasks: The task of each row, ascending, where the batch is cut by task.
        pad_id: Token id of padding.
    """
    lengths = mask.sum(dim=1).numpy()
    each = [np.arange(len(lengths))] if groups is None else [np.asarray(group) for group in groups]
    whose = None if tasks is None else np.asarray(tasks)
    real = mask.bool()
    packed: Packed = {
        "input_ids": ids[real],
        "offsets": torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)])),
        "lengths": lengths.tolist(),
        "rectangles": rectangles_of(lengths, each, pad_id, whose),
    }
    if types is not None:
        packed["token_type_ids"] = types[real]
    if whose is not None:
        packed["cut"] = cut_by_task(whose)
    return packed
