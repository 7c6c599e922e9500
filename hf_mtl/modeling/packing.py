"""Whether an encoder makes of packed rows what it makes of each alone: tried on a few rows, never looked up."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from hf_mtl.batch import Packed
from hf_mtl.errors import one_line
from hf_mtl.modeling.attention_kernels import Layer
from hf_mtl.modeling.encode import PackedCall, encode_packed, encode_rectangles
from hf_mtl.modeling.encoded import Encoded
from hf_mtl.modeling.in_passing import generators_put_back, in_passing, parts_put_back, uncompiled
from hf_mtl.modeling.limits import first_position, longest_input, positions
from hf_mtl.modeling.memory import free_memory
from hf_mtl.modeling.packed_attention import implementation_for, set_attention
from hf_mtl.modeling.rectangles import pack_for_trial

_LENGTHS = (3, 9, 1, 5)
_FARTHEST = 1024  # a row that reaches beyond a window has no more tokens
_CLOSE = 1e-4  # of the largest value; float32 rounds at 1e-7, and a row that sees another differs by 1e-2
_HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Packing:
    """What a trial has found of an encoder that packs.

    Args:
        first_position: Position of a row's first token.
        padding: Token that positions do not count; None: all are counted.
        difference: How far packed states were from those of rows alone, over the largest of these.
        gradient_difference: The same of the gradients of the embeddings.
        layers: What its layers ask of attention.
    """

    first_position: int
    padding: int | None
    difference: float
    gradient_difference: float
    layers: frozenset[Layer]


def try_packing(encoder: PreTrainedModel, pooler: bool) -> Packing | str:
    """Try an encoder with rows packed together, and leave it as it was.

    In eval mode, in float32, under no autocast: outputs and gradients of rows of several lengths, one of them beyond
    the window where a layer has one, each against the row alone. Gradients of weights are not formed, so that a trial
    takes the memory of a forward of a few dozen tokens; weights in half precision are in float32 meanwhile.

    Args:
        encoder: The backbone.
        pooler: Whether the output of its pooler is wanted too.

    Returns:
        What was found; or, in words, why it does not pack.
    """
    if any(weight.is_meta for weight in encoder.parameters()):
        return "it has no weights"
    half = sum(one.numel() for one in encoder.parameters() if one.dtype in _HALF)
    if half and 4 * half > free_memory(encoder.device):
        return "there is no room to try its weights in float32"
    try:
        with _tried(encoder):
            return _tried_in_float32(encoder, pooler)
    except Exception as error:  # whatever an encoder may do that others do not: padded rows will do
        return f"it cannot be tried ({type(error).__name__}: {one_line(error)})"


@contextmanager
def _tried(encoder: PreTrainedModel) -> Iterator[None]:
    """Leave no trace of a trial: in modes, weights, gradients, the config or the state of any generator."""
    before = encoder.config._attn_implementation
    with in_passing(encoder), parts_put_back(encoder), generators_put_back(encoder.device), _with_gradients():
        try:
            with uncompiled(encoder), torch.autocast(encoder.device.type, enabled=False), _float32(encoder):
                yield
        finally:
            set_attention(encoder, before)


@contextmanager
def _with_gradients() -> Iterator[None]:
    # Inside `torch.inference_mode` they cannot be had by asking for them alone.
    with torch.inference_mode(False), torch.enable_grad():
        yield


def _tried_in_float32(encoder: PreTrainedModel, pooler: bool) -> Packing | str:
    """Compare packed rows with rows alone, and padded rows before and after the attention is replaced."""
    own = _plain_attention(encoder)
    set_attention(encoder, own)
    lengths = _lengths(encoder)
    packed, rows = _rows(encoder, lengths), range(len(lengths))
    try:
        alone = [_seen(encoder, _rows(encoder, [lengths[row]], row), None, pooler) for row in rows]
        padded = _states(encoder, packed, None)
    except Exception as error:  # no less could be said of it where it is used
        return f"it fails at rows alone ({type(error).__name__}: {one_line(error)})"
    expected = _Seen(*(torch.cat(parts) for parts in zip(*map(astuple, alone), strict=True)))
    set_attention(encoder, implementation_for(own))
    found = _best(encoder, packed, expected, pooler)
    if isinstance(found, str):
        return found
    # A family that makes its masks by the name of the attention would leave padding in.
    if not _distance(_states(encoder, packed, None), padded) <= _CLOSE:
        return "its padded rows change with the name of its attention"
    return _many_rows(encoder, found) or found


def _plain_attention(encoder: PreTrainedModel) -> str:
    """Return an attention in which float32 can be tried on any device: not FlashAttention."""
    own = encoder.config._attn_implementation
    if own in ("sdpa", "eager"):
        return str(own)
    return "sdpa" if getattr(encoder, "_supports_sdpa", False) else "eager"


@dataclass(frozen=True)
class _Seen:
    """States [N, H], what the pooler makes of them [R, H], and gradients of the embeddings [N, E]."""

    states: Tensor
    pooled: Tensor
    gradients: Tensor


def _best(encoder: PreTrainedModel, packed: Packed, expected: _Seen, pooler: bool) -> Packing | str:
    """Try the positions that families count from; the first that fits."""
    reasons = []
    first = first_position(encoder)
    for start, padding in dict.fromkeys(((first, _uncounted(encoder)), (first, None), (0, None))):
        call = PackedCall(start, padding, layers=set())
        try:
            found = _seen(encoder, packed, call, pooler)
        except Exception as error:  # whatever a family may do with one long row
            reasons.append(f"it fails at packed rows ({type(error).__name__}: {one_line(error)})")
            continue
        values = max(_distance(found.states, expected.states), _distance(found.pooled, expected.pooled))
        gradients = _distance(found.gradients, expected.gradients)
        if values <= _CLOSE and gradients <= _CLOSE:
            if not call.layers:  # what mixes tokens may be scaled by 0 as yet, and learn not to be
                return "its layers do not call the attention that packs"
            return Packing(start, padding, values, gradients, frozenset(call.layers or ()))
        what, worst = ("states", values) if not values <= _CLOSE else ("gradients", gradients)
        reasons.append(f"{what} of packed rows differ from those of rows alone by {worst:.1e} of the largest")
    return reasons[0]


def _many_rows(encoder: PreTrainedModel, packing: Packing) -> str:
    """Try more tokens than the table of positions has, which no buffer of that size may stop; empty if none does."""
    most = positions(encoder)
    if most is None:
        return ""
    lengths = _lengths(encoder)[: len(_LENGTHS)]
    copies = most // sum(lengths) + 1
    call = PackedCall(packing.first_position, packing.padding)
    many = _states(encoder, _rows(encoder, lengths * copies, period=len(lengths)), call)
    first = many[: sum(lengths)].repeat(copies, 1)
    different = _distance(many, first)
    return (
        "" if different <= _CLOSE else f"rows beyond its {most:,} positions differ by {different:.1e} of the largest"
    )


def _distance(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        return float("inf")
    if not found.numel():
        return 0.0
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-30))


def _encoded(encoder: PreTrainedModel, packed: Packed, call: PackedCall | None, pooler: bool) -> Encoded:
    """Encode rows, packed or, without a call, as a rectangle."""
    if call is None:
        return encode_rectangles(encoder, packed, pooler)
    return encode_packed(encoder, packed, call, pooler)


@torch.no_grad()
def _states(encoder: PreTrainedModel, packed: Packed, call: PackedCall | None) -> Tensor:
    return _encoded(encoder, packed, call, False).states


def _seen(encoder: PreTrainedModel, packed: Packed, call: PackedCall | None, pooler: bool) -> _Seen:
    """Encode rows as `_encoded`, and go back to their embeddings."""
    kept: list[Tensor] = []

    def keep(module: Any, inputs: Any, output: Tensor) -> Tensor:
        kept.append(output if output.requires_grad else output.requires_grad_())
        return output

    hook = encoder.get_input_embeddings().register_forward_hook(keep)
    try:
        rows = _encoded(encoder, packed, call, pooler)
    finally:
        hook.remove()
    pooled = rows.states[:0] if rows.pooler_output is None else rows.pooler_output
    # Of the embeddings alone: autograd then forms no gradient of a weight.
    (gradient,) = torch.autograd.grad(_weighted(rows, pooled), kept[:1])
    return _Seen(rows.states.detach(), pooled.detach(), gradient.flatten(0, -2))


def _weighted(rows: Encoded, pooled: Tensor) -> Tensor:
    """Sum of states, each token's features with factors of their own: a plain sum behind a norm has no gradient."""
    factors = torch.cos(torch.arange(rows.states.shape[1], device=rows.states.device, dtype=rows.states.dtype))
    total = (rows.states * factors).sum()
    return total + (pooled * factors).sum() if len(pooled) else total


def _lengths(encoder: PreTrainedModel) -> list[int]:
    """Return the tokens of each row, one of them beyond a window that is not too far to reach."""
    config, most = encoder.config, longest_input(encoder)
    window = getattr(config, "sliding_window", None) or getattr(config, "local_attention", None) or 0
    far = window + 3 if isinstance(window, int) and 0 < window < _FARTHEST else 0
    return [length for length in (*_LENGTHS, far) if 0 < length <= (most or _FARTHEST)]


def _uncounted(encoder: PreTrainedModel) -> int | None:
    """Return the token that an encoder may not count as it numbers positions: that of padding, as RoBERTa's does."""
    start = first_position(encoder)
    return start - 1 if start else None


def _rows(encoder: PreTrainedModel, lengths: Sequence[int], first: int = 0, period: int | None = None) -> Packed:
    """Rows of ids that no generator draws; row ``first + i`` has the same ids wherever it is packed.

    Args:
        encoder: The backbone.
        lengths: Tokens of each row.
        first: Number of the first row.
        period: Rows after which the same come again; None: none do.
    """
    vocabulary = len(encoder.get_input_embeddings().weight)
    special = {getattr(encoder.config, name, None) for name in ("pad_token_id", "mask_token_id")}
    usual = [number for number in range(vocabulary) if number not in special]
    padding = _uncounted(encoder)
    ids = [
        # Padding's own token stands within rows too, where a text spells it.
        padding
        if padding is not None and k == 1 and n > 2
        else usual[(7919 * (first + at % (period or len(lengths)) + 1) + 104729 * k) % len(usual)]
        for at, n in enumerate(lengths)
        for k in range(n)
    ]
    return pack_for_trial(torch.tensor(ids, device=encoder.device), lengths)


@contextmanager
def _float32(encoder: PreTrainedModel) -> Iterator[None]:
    """Have half-precision weights in float32 for a while, where a row that sees another cannot pass for rounding."""
    half = [(one, one.data) for one in (*encoder.parameters(), *encoder.buffers()) if one.dtype in _HALF]
    try:
        for one, data in half:
            one.data = data.float()
        yield
    finally:
        for one, data in half:
            one.data = data
