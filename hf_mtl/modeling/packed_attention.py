"""Attention among the tokens of each row, where the rows of a micro-batch stand end to end as one.

An encoder that is told to use `implementation_for` its own attention runs on rows packed into [1, N] as on each of
them alone, as far as its layers hand the keyword ``packed_rows`` down to the attention function. What else it does
with tokens (relative positions, convolutions) is not seen here: `hf_mtl.modeling.encoder_layout` tries it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from hf_mtl.batch import Packed, Rectangles
from hf_mtl.modeling import dropout_attention
from hf_mtl.modeling.rectangles import to_rectangles, to_tokens

_PREFIX = "hf_mtl_packed|"
_PACKED_NOW: ContextVar[bool] = ContextVar("hf_mtl_packed_now", default=False)
_UNKNOWN = ("softcap", "position_bias", "s_aux", "cache", "head_mask")
_HALF = (torch.float16, torch.bfloat16)


def implementation_for(own: str) -> str:
    """Return the name of the attention that packs rows and else does as ``own``, such as ``sdpa``; registers it.

    A name for each, since transformers asks for masks by the same name: unpacked rows get those of ``own``.
    """
    if own.startswith(_PREFIX):
        return own
    name = _PREFIX + own
    if name not in AttentionInterface._global_mapping:
        AttentionInterface.register(name, partial(_attention, own))
        AttentionMaskInterface.register(name, partial(_mask, own))
    return name


def own_implementation(name: str) -> str:
    """Return the attention that unpacked rows have under a name; see `implementation_for`."""
    return name.removeprefix(_PREFIX)


@contextmanager
def packed_masks() -> Iterator[None]:
    """Have no masks made while an encoder's forward runs on packed rows: a block for each row would be [N, N]."""
    token = _PACKED_NOW.set(True)
    try:
        yield
    finally:
        _PACKED_NOW.reset(token)


def _mask(own: str, *args: Any, **kwargs: Any) -> Any:
    if _PACKED_NOW.get():
        return None
    return AttentionMaskInterface._global_mapping[own](*args, **kwargs)


def _attention(
    own: str,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    packed_rows: Packed | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Any]:
    """Attend within rows; the signature is that of transformers' attention functions.

    Shape:
        query [1, heads, N, d], key and value [1, heads or fewer, N, d] -> [1, N, heads, d].
    """
    if packed_rows is None:
        if is_causal is not None:
            kwargs["is_causal"] = is_causal
        function = _function_of(own, module)
        found: tuple[Tensor, Any] = function(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return found
    if more := [name for name in _UNKNOWN if kwargs.get(name) is not None]:
        raise ValueError(f"packed rows know nothing of {more[0]} in attention")
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    window = kwargs.get("sliding_window")
    if own.startswith("flash_attention"):
        return _by_flash_attention(own, module, (query, key, value), packed_rows, dropout, scaling, causal, window)
    if _varlen_fits(query, dropout):
        return _by_varlen((query, key, value), packed_rows, scaling, causal, window), None
    return _by_rectangles((query, key, value), packed_rows, dropout, scaling, causal, window), None


def _function_of(own: str, module: nn.Module) -> Callable[..., tuple[Tensor, Any]]:
    if own != "eager":
        found: Callable[..., tuple[Tensor, Any]] = ALL_ATTENTION_FUNCTIONS[own]
        return found
    # Each family keeps its eager attention in the file of its layers.
    eager: Callable[..., tuple[Tensor, Any]] = sys.modules[type(module).__module__].eager_attention_forward
    return eager


Heads = tuple[Tensor, Tensor, Tensor]  # query, key and value


def _by_rectangles(
    heads: Heads, rows: Packed, dropout: float, scaling: float | None, causal: bool, window: int | None
) -> Tensor:
    """Attend in padded rectangles of rows of similar length; for any device, dtype and dropout."""
    rectangles, groups = rows["rectangles"], heads[0].shape[1] // heads[1].shape[1]
    query, key, value = heads[0], repeat_kv(heads[1], groups), repeat_kv(heads[2], groups)
    by_token: Heads = (query.transpose(1, 2)[0], key.transpose(1, 2)[0], value.transpose(1, 2)[0])
    alone = dropout_attention.is_for(query, dropout)
    masks = _masks(rectangles, causal, window, query.device, spelled_out=alone)
    if alone:
        return dropout_attention.attend(by_token, rectangles, masks, dropout, scaling)[None]
    laid = [to_rectangles(one, rectangles) for one in by_token]
    parts, first = [], 0
    for (count, length), mask in zip(rectangles["shapes"], masks, strict=True):
        last = first + count * length
        # [places, heads, d] to [rows, heads, length, d], a view.
        q, k, v = (one[first:last].unflatten(0, (count, length)).transpose(1, 2) for one in laid)
        out = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout, scale=scaling, is_causal=causal and mask is None
        )
        parts.append(out.transpose(1, 2).flatten(0, 1))
        first = last
    return to_tokens(parts[0] if len(parts) == 1 else torch.cat(parts), rectangles)[None]


def _masks(
    rectangles: Rectangles, causal: bool, window: int | None, device: torch.device, spelled_out: bool
) -> list[Tensor | None]:
    """Return what may be attended to in each rectangle.

    Args:
        rectangles: The rectangles.
        causal: Whether tokens see those before them alone.
        window: One more than the farthest distance seen; None: all see all.
        device: Where the masks are wanted.
        spelled_out: Whether a causal mask is one too, and not None as ``is_causal`` wants it.
    """
    found = []
    for (_, length), real in zip(rectangles["shapes"], rectangles["masks"], strict=True):
        mask = _mask_of(real, length, causal, window, device)
        if mask is None and causal and spelled_out:
            mask = _near(length, length, causal, device)
        found.append(mask)
    return found


def _mask_of(
    real: Tensor | None, length: int, causal: bool, window: int | None, device: torch.device
) -> Tensor | None:
    """Return what may be attended to; None where ``is_causal`` says it all.

    Padding follows a row's tokens, so that under a causal mask none of these sees it.
    """
    near = _near(length, window, causal, device) if window is not None and window < length else None
    if causal or real is None:
        return near
    seen = real[:, None, None, :]
    if near is None:
        return seen
    # Padding beyond the window of the last token sees itself: over nothing a softmax is nan, and so are gradients.
    return (seen & near) | torch.eye(length, dtype=torch.bool, device=device)


def _near(length: int, window: int, causal: bool, device: torch.device) -> Tensor:
    """Return which places see which [length, length]; a window is one more than the farthest distance seen."""
    places = torch.arange(length, device=device)
    distance = places[:, None] - places[None, :]
    near = distance.abs() < window
    return near & (distance >= 0) if causal else near


def _varlen_fits(query: Tensor, dropout: float) -> bool:
    """Tell whether torch's kernel for rows of several lengths takes this: half precision on CUDA, without dropout."""
    return query.is_cuda and query.dtype in _HALF and dropout == 0 and _varlen() is not None


@cache
def _varlen() -> Callable[..., Any] | None:
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:  # torch before 2.10
        return None
    found: Callable[..., Any] = varlen_attn
    return found


def _by_varlen(heads: Heads, rows: Packed, scaling: float | None, causal: bool, window: int | None) -> Tensor:
    """Attend by torch's own kernel for packed rows."""
    function = _varlen()
    assert function is not None
    query, key, value = heads
    groups = query.shape[1] // key.shape[1]
    q, k, v = (one.transpose(1, 2)[0] for one in (query, repeat_kv(key, groups), repeat_kv(value, groups)))
    offsets, longest = rows["offsets"].int(), max(rows["lengths"])
    reach = -1 if window is None else window - 1
    size = (reach, 0) if causal else (reach, reach)
    found: Tensor = function(q, k, v, offsets, offsets, longest, longest, scale=scaling, window_size=size)
    return found[None]


def _by_flash_attention(
    own: str,
    module: nn.Module,
    heads: Heads,
    rows: Packed,
    dropout: float,
    scaling: float | None,
    causal: bool,
    window: int | None,
) -> tuple[Tensor, Any]:
    """Attend by the kernel that the user chose, which takes rows of several lengths."""
    offsets, longest = rows["offsets"].int(), max(rows["lengths"])
    found: tuple[Tensor, Any] = ALL_ATTENTION_FUNCTIONS[own](
        module,
        *heads,
        None,
        dropout=dropout,
        scaling=scaling,
        sliding_window=window,
        is_causal=causal,
        cu_seq_lens_q=offsets,
        cu_seq_lens_k=offsets,
        max_length_q=longest,
        max_length_k=longest,
    )
    return found
