"""Whether an encoder makes of packed rows what it makes of each alone: tried on a few rows, never looked up."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from hf_mtl.batch import EncoderLayout, Packed, Rectangles
from hf_mtl.errors import Mistake, ModelError, one_line
from hf_mtl.modeling.encode import encode_packed, encode_rectangles
from hf_mtl.modeling.encoded import Encoded
from hf_mtl.modeling.in_passing import in_passing
from hf_mtl.modeling.limits import first_position, longest_input
from hf_mtl.modeling.packed_attention import implementation_for, own_implementation

_LENGTHS = (3, 9, 1, 5)
_FARTHEST = 1024  # tokens of a row that reaches beyond a window
_CLOSE = 1e-4  # of the largest value; float32 rounds at 1e-7, and a row that sees another differs by 1e-2


@dataclass(frozen=True)
class Packing:
    """How an encoder is called with packed rows.

    Args:
        first_position: Position of a row's first token.
        difference: How far packed states were from those of rows alone, over the largest of these.
        gradient_difference: The same of the gradients of the embeddings.
    """

    first_position: int
    difference: float
    gradient_difference: float


def try_packing(encoder: PreTrainedModel, pooler: bool) -> Packing | str:
    """Try an encoder with rows packed together, and leave it as it was.

    In eval mode, in float32, without a draw from any generator: outputs and gradients of rows of several lengths, one
    of them beyond the window where a layer has one, each against the row alone.

    Args:
        encoder: The backbone.
        pooler: Whether the output of its pooler is wanted too.

    Returns:
        How to call it; or in words what is different.
    """
    if any(weight.is_meta for weight in encoder.parameters()):
        return "it has no weights"
    lengths = _lengths(encoder)
    with in_passing(encoder), _float32(encoder), torch.random.fork_rng(), torch.enable_grad():
        try:
            alone = [_seen(encoder, _rows(encoder, [length], at), None, pooler) for at, length in enumerate(lengths)]
        except Exception as error:  # no less could be said of it where it is used
            return f"it fails at rows alone ({type(error).__name__}: {one_line(error)})"
        expected = _Seen(*(torch.cat(parts) for parts in zip(*map(astuple, alone), strict=True)))
        with packing_attention(encoder):
            return _best(encoder, _packed(encoder, lengths), expected, pooler)


@contextmanager
def packing_attention(encoder: PreTrainedModel) -> Iterator[None]:
    """Give an encoder attention that packs, and then its own again."""
    before = encoder.config._attn_implementation
    set_attention(encoder, implementation_for(before))
    try:
        yield
    finally:
        set_attention(encoder, before)


def set_attention(encoder: PreTrainedModel, name: str) -> None:
    """Choose the attention function of an encoder's layers; a name of ours never reaches a saved config.

    Not through `set_attn_implementation`, which takes a name it does not know for a kernel of the Hub.
    """
    for module in encoder.modules():
        if isinstance(module, PreTrainedModel):
            module.config._attn_implementation_internal = name


@dataclass(frozen=True)
class _Seen:
    """States [N, H], what the pooler makes of them [R, H], and gradients of the embeddings [N, E]."""

    states: Tensor
    pooled: Tensor
    gradients: Tensor


def _best(encoder: PreTrainedModel, packed: Packed, expected: _Seen, pooler: bool) -> Packing | str:
    """Try the positions that families count from; the first that fits."""
    reasons = []
    for start in dict.fromkeys((first_position(encoder), 0)):
        try:
            found = _seen(encoder, packed, start, pooler)
        except Exception as error:  # whatever a family may do with one long row: padded rows will do
            reasons.append(f"it fails at packed rows ({type(error).__name__}: {one_line(error)})")
            continue
        values = max(_distance(found.states, expected.states), _distance(found.pooled, expected.pooled))
        gradients = _distance(found.gradients, expected.gradients)
        if values <= _CLOSE and gradients <= _CLOSE:
            return Packing(start, values, gradients)
        what, worst = ("states", values) if not values <= _CLOSE else ("gradients", gradients)
        reasons.append(f"{what} of packed rows differ from those of rows alone by {worst:.1e} of the largest")
    return reasons[0]


def _distance(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        return float("inf")
    if not found.numel():
        return 0.0
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-30))


def _seen(encoder: PreTrainedModel, packed: Packed, start: int | None, pooler: bool) -> _Seen:
    """Encode rows, packed from a first position or without one as a rectangle, and go back to their embeddings."""
    kept: list[Tensor] = []

    def keep(module: Any, inputs: Any, output: Tensor) -> Tensor:
        kept.append(output if output.requires_grad else output.requires_grad_())
        return output

    hook = encoder.get_input_embeddings().register_forward_hook(keep)
    try:
        if start is None:
            rows = encode_rectangles(encoder, packed, pooler)
        else:
            rows = encode_packed(encoder, packed, start, pooler)
    finally:
        hook.remove()
    pooled = rows.states[:0] if rows.pooler_output is None else rows.pooler_output
    (gradient,) = torch.autograd.grad(_weighted(rows, pooled), kept[:1])
    return _Seen(rows.states.detach(), pooled.detach(), gradient.flatten(0, -2))


def _weighted(rows: Encoded, pooled: Tensor) -> Tensor:
    """Sum of states, each token's features with factors of their own: a plain sum behind a norm has no gradient."""
    factors = torch.cos(torch.arange(rows.states.shape[1], device=rows.states.device, dtype=rows.states.dtype))
    total = (rows.states * factors).sum()
    return total + (pooled * factors).sum() if len(pooled) else total


def _lengths(encoder: PreTrainedModel) -> list[int]:
    config, most = encoder.config, longest_input(encoder)
    window = getattr(config, "sliding_window", None) or getattr(config, "local_attention", None) or 0
    far = min(2 * window + 3, _FARTHEST) if isinstance(window, int) and window > 0 else 0
    return [length for length in (*_LENGTHS, far) if 0 < length <= (most or _FARTHEST)]


def _rows(encoder: PreTrainedModel, lengths: list[int], first: int) -> Packed:
    """Rows of ids that no generator draws; row ``first + i`` has the same ids wherever it is packed."""
    vocabulary = len(encoder.get_input_embeddings().weight)
    special = {getattr(encoder.config, name, None) for name in ("pad_token_id", "mask_token_id")}
    usual = [number for number in range(vocabulary) if number not in special]
    ids = [
        usual[(7919 * (first + at + 1) + 104729 * k) % len(usual)] for at, n in enumerate(lengths) for k in range(n)
    ]
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    device = encoder.device
    rectangles = _rectangles(lengths, device)
    tensor = torch.tensor(ids, device=device)
    return {"input_ids": tensor, "offsets": offsets.to(device), "lengths": lengths, "rectangles": rectangles}


def _packed(encoder: PreTrainedModel, lengths: list[int]) -> Packed:
    return _rows(encoder, lengths, 0)


def _rectangles(lengths: list[int], device: torch.device) -> Rectangles:
    """All rows in one rectangle."""
    counts = torch.tensor(lengths)
    real = torch.arange(int(counts.max())) < counts[:, None]
    starts = counts.cumsum(0) - counts
    source = torch.where(real, starts[:, None] + torch.arange(real.shape[1]), starts[:, None]).flatten()
    whole = bool(real.all())
    return {
        "shapes": [(real.shape[0], real.shape[1])],
        "source": None if whole and len(lengths) == 1 else source.to(device),
        "place": None if whole and len(lengths) == 1 else real.flatten().nonzero()[:, 0].to(device),
        "masks": [None if whole else real.to(device)],
        "pad_id": 0,
    }


@contextmanager
def _float32(encoder: PreTrainedModel) -> Iterator[None]:
    """Have half-precision weights in float32 for a while, where a row that sees another cannot pass for rounding."""
    half = [
        one for one in (*encoder.parameters(), *encoder.buffers()) if one.dtype in (torch.float16, torch.bfloat16)
    ]
    kept = [one.data for one in half]
    for one in half:
        one.data = one.data.float()
    try:
        yield
    finally:
        for one, data in zip(half, kept, strict=True):
            one.data = data


def settle_layout(
    encoder: PreTrainedModel, asked: EncoderLayout, pooler: bool
) -> tuple[EncoderLayout, Packing | None, str]:
    """Decide how an encoder gets its rows, and give its layers the attention that this wants.

    Args:
        encoder: The backbone.
        asked: What the user asks for.
        pooler: Whether the output of its pooler is wanted.

    Returns:
        ``packed``, ``groups`` or ``padded``; how it is called where it packs; and why, in words.

    Raises:
        ModelError: If ``packed`` is asked for and the encoder does not pack.
    """
    set_attention(encoder, own_implementation(encoder.config._attn_implementation))
    if asked in ("groups", "padded"):
        return asked, None, "as asked"
    found = try_packing(encoder, pooler)
    if isinstance(found, str):
        if asked == "packed":
            problem = f"is packed, and '{encoder.config.model_type}' does not pack: {found}"
            raise ModelError(Mistake("training.encoder_layout", problem, "Use auto, groups or padded"))
        return "groups", None, f"'{encoder.config.model_type}' does not pack: {found}"
    set_attention(encoder, implementation_for(encoder.config._attn_implementation))
    words = (
        f"packed rows agree with rows alone to {found.difference:.0e}, gradients to {found.gradient_difference:.0e}"
    )
    return "packed", found, words
