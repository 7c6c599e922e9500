"""Attention with dropout in padded rectangles on a CPU, whose kernel knows no dropout.

Without a kernel `torch.nn.functional.scaled_dot_product_attention` is a dozen small operations for each rectangle,
each a node of the graph, and lays queries, keys and values out twice. Here they are laid out once, by head, one draw
serves all rectangles, and the graph has one node. The mathematics is the same, float32 within half precision too.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hf_mtl.batch import Rectangles


def is_for(query: Tensor, dropout: float) -> bool:
    """Tell whether a call is better served here: `torch.compile` makes its own of the small operations."""
    return dropout > 0 and query.device.type == "cpu" and not torch.compiler.is_compiling()


def attend(
    heads: tuple[Tensor, Tensor, Tensor],
    rectangles: Rectangles,
    masks: list[Tensor | None],
    dropout: float,
    scaling: float | None,
) -> Tensor:
    """Attend within rows.

    Args:
        heads: Queries, keys [N, heads, d] and values [N, heads, v].
        rectangles: Where the rows are as padded rectangles.
        masks: What may be attended to in each rectangle, bool, broadcast to [rows, heads, length, length]; None: all.
        dropout: Probability with which a weight is dropped.
        scaling: Factor of the products; None: 1 / sqrt(d).

    Returns:
        [N, heads, v].
    """
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        heads = (heads[0].to(dtype), heads[1].to(dtype), heads[2].to(dtype))
    source, place = _by_head(rectangles, heads[0].shape[1])
    scaling = heads[0].shape[2] ** -0.5 if scaling is None else scaling
    found: Tensor = _Attention.apply(*heads, source, place, rectangles["shapes"], masks, dropout, scaling)
    return found


def _by_head(rectangles: Rectangles, heads: int) -> tuple[Tensor, Tensor]:
    """Say where the heads of tokens are once each rectangle is [rows, heads, length], one after the other.

    Returns:
        The head of a token (n * heads + h) that each place holds [P * heads], and the place of each [N * heads].
    """
    places = sum(rows * length for rows, length in rectangles["shapes"])
    by_token = torch.arange(places * heads).view(places, heads)
    parts, first = [], 0
    for rows, length in rectangles["shapes"]:
        last = first + rows * length
        parts.append(by_token[first:last].view(rows, length, heads).transpose(1, 2).flatten())
        first = last
    order = torch.cat(parts)
    moved = torch.empty_like(order)
    moved[order] = torch.arange(len(order))
    moved = moved.view(places, heads)
    if rectangles["source"] is None or rectangles["place"] is None:
        return order, moved.flatten()
    source = rectangles["source"][:, None] * heads + torch.arange(heads)
    return source.flatten()[order], moved[rectangles["place"]].flatten()


class _Attention(torch.autograd.Function):
    """softmax(scaling Q K^T) with dropout, times V, in each rectangle."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        source: Tensor,
        place: Tensor,
        shapes: list[tuple[int, int]],
        masks: list[Tensor | None],
        dropout: float,
        scaling: float,
    ) -> Tensor:
        heads = query.shape[1]
        ctx.dtypes, ctx.shapes, ctx.heads, ctx.scaling = query.dtype, shapes, heads, scaling
        with torch.autocast("cpu", enabled=False):
            q, k, v = (_laid_out(one, source) for one in (query, key, value))
            weights = q.new_empty(heads * sum(rows * length**2 for rows, length in shapes))
            kept = torch.empty_like(weights).bernoulli_(1 - dropout).div_(1 - dropout)
            out = torch.empty_like(v)
            parts = zip(masks, _parts(shapes, heads, (q, k, v, out), (weights, kept)), strict=True)
            for mask, (q_, k_, v_, out_, weights_, kept_) in parts:
                weights_.baddbmm_(q_, k_.transpose(1, 2), beta=0, alpha=scaling)
                if mask is not None:
                    weights_.unflatten(0, (-1, heads)).masked_fill_(~mask, -torch.inf)
                torch.softmax(weights_, -1, out=weights_)
                torch.bmm(weights_ * kept_, v_, out=out_)
        ctx.save_for_backward(q, k, v, weights, kept, source, place)
        return _taken_back(out, place, heads).to(query.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, weights, kept, _, place = ctx.saved_tensors
        with torch.autocast("cpu", enabled=False):
            # 0 in padding, through which nothing comes back.
            g = torch.zeros_like(v).index_copy_(0, place, gradient.reshape(-1, v.shape[1]).to(v.dtype))
            dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
            each = _parts(ctx.shapes, ctx.heads, (q, k, v, g, dq, dk, dv), (weights, kept))
            for q_, k_, v_, g_, dq_, dk_, dv_, weights_, kept_ in each:
                torch.bmm((weights_ * kept_).transpose(1, 2), g_, out=dv_)
                inner = torch.bmm(g_, v_.transpose(1, 2)).mul_(kept_)
                # Of a softmax: w (x - sum w x), x what comes back to its output.
                inner = torch._softmax_backward_data(inner, weights_, -1, weights_.dtype)
                dq_.baddbmm_(inner, k_, beta=0, alpha=ctx.scaling)
                dk_.baddbmm_(inner.transpose(1, 2), q_, beta=0, alpha=ctx.scaling)
        back = [_taken_back(one, place, ctx.heads).to(ctx.dtypes) for one in (dq, dk, dv)]
        return (*back, None, None, None, None, None, None)


def _laid_out(tokens: Tensor, source: Tensor) -> Tensor:
    """Lay [N, heads, d] out by head, [P * heads, d], in float32 at least."""
    laid = tokens.reshape(-1, tokens.shape[2]).index_select(0, source)
    return laid.to(torch.promote_types(laid.dtype, torch.float32))


def _taken_back(laid: Tensor, place: Tensor, heads: int) -> Tensor:
    return laid.index_select(0, place).view(-1, heads, laid.shape[1])


def _parts(
    shapes: list[tuple[int, int]], heads: int, laid: tuple[Tensor, ...], squares: tuple[Tensor, ...]
) -> list[tuple[Tensor, ...]]:
    """Cut what all rectangles have, [P * heads, d] and of [length, length], into views of each rectangle's."""
    found, first, start = [], 0, 0
    for rows, length in shapes:
        last, stop = first + rows * heads * length, start + rows * heads * length**2
        vectors = [one[first:last].view(rows * heads, length, -1) for one in laid]
        found.append((*vectors, *(one[start:stop].view(rows * heads, length, length) for one in squares)))
        first, start = last, stop
    return found
