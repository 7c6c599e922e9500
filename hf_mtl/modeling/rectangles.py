"""Between rows that stand end to end and padded rectangles of rows of similar length: copies, without arithmetic."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hf_mtl.batch import Rectangles


def rectangle_of(lengths: Sequence[int], device: torch.device) -> Rectangles:
    """Return one rectangle of all rows, of some lengths; padding's id is 0.

    Args:
        lengths: Tokens of each row.
        device: Where the rows are.
    """
    counts = torch.tensor(lengths)
    real = torch.arange(int(counts.max())) < counts[:, None]
    starts = counts.cumsum(0) - counts
    source = torch.where(real, starts[:, None] + torch.arange(real.shape[1]), starts[:, None]).flatten()
    whole = bool(real.all())
    return {
        "shapes": [(real.shape[0], real.shape[1])],
        "source": None if whole else source.to(device),
        "place": None if whole else real.flatten().nonzero()[:, 0].to(device),
        "masks": [None if whole else real.to(device)],
        "pad_id": 0,
    }


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
