"""Between rows that stand end to end and padded rectangles of rows of similar length: copies, without arithmetic."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_mtl.batch import Packed, Rectangles, to_device
from hf_mtl.data.rectangles import rectangles_of


def pack_for_trial(ids: Tensor, lengths: Sequence[int]) -> Packed:
    """Pack rows as the collator does, for a trial: all of them are one rectangle, and padding's id is 0.

    Args:
        ids: Token ids of the rows, end to end [N].
        lengths: Tokens of each row.
    """
    counts = np.array(lengths)
    packed: Packed = {
        "input_ids": ids,
        "offsets": torch.tensor([0, *lengths]).cumsum(0),
        "lengths": list(lengths),
        "rectangles": rectangles_of(counts, [np.arange(len(counts))], pad_id=0),
    }
    return to_device(packed, ids.device)


def to_rectangles(tokens: Tensor, rectangles: Rectangles) -> Tensor:
    """Copy tokens to the places of rectangles, one rectangle after the other.

    Padding holds a copy of its row's first token, which is finite, and which nobody may read.

    Shape:
        tokens [N, ...] -> [P, ...].
    """
    if rectangles["source"] is None:
        return tokens
    found: Tensor = _ToRectangles.apply(tokens, rectangles["source"], rectangles["place"])
    return found


def to_tokens(places: Tensor, rectangles: Rectangles) -> Tensor:
    """Copy the real tokens of rectangles back to where they stand end to end.

    Shape:
        places [P, ...] -> [N, ...].
    """
    if rectangles["place"] is None:
        return places
    found: Tensor = _ToTokens.apply(places, rectangles["place"])
    return found


class _ToRectangles(torch.autograd.Function):
    """A gather. Nothing comes back through padding, so that its backward is a gather too, and exact on any device."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, source: Tensor, place: Tensor) -> Tensor:
        ctx.save_for_backward(place)
        return tokens.index_select(0, source)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (place,) = ctx.saved_tensors
        return gradient.index_select(0, place), None, None


class _ToTokens(torch.autograd.Function):
    """A gather of distinct places: its backward writes each gradient to a place of its own, and 0 to padding."""

    @staticmethod
    def forward(ctx: Any, places: Tensor, place: Tensor) -> Tensor:
        ctx.save_for_backward(place)
        ctx.size = len(places)
        return places.index_select(0, place)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (place,) = ctx.saved_tensors
        return gradient.new_zeros(ctx.size, *gradient.shape[1:]).index_copy_(0, place, gradient), None
