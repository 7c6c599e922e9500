"""Ways to attend within rows that stand end to end, and the choice among them: by a trial, where they will run.

Padded rectangles under SDPA serve any device, dtype and dropout, and are what the others are compared with. Kernels
for rows of several lengths are for half precision on CUDA. Not each of them takes every head size, window or dropout,
nor has each release the arguments that are used here.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.integrations.sdpa_attention import repeat_kv
from transformers.utils import is_flash_attn_2_available

from hf_mtl.batch import Packed
from hf_mtl.errors import one_line
from hf_mtl.modeling.rectangles import pack_for_trial, to_rectangles, to_tokens

Heads = tuple[Tensor, Tensor, Tensor]
"""Query [1, heads, N, d], key and value [1, heads or fewer, N, d]."""

_HALF = (torch.float16, torch.bfloat16)
_CLOSE = 0.02  # of the whole, as norms; bfloat16 rounds at 0.004, and a window that is off by one gives 0.03 and more
_TRIED_LENGTHS = (5, 1, 70, 17)
_WIDEST_TRIED = 1024  # tokens; rows are seldom longer than a wider window
_TRIED_DROPOUT = 0.1


class Layer(NamedTuple):
    """What a layer asks of attention.

    Args:
        heads: Heads of the query.
        key_heads: Heads of key and value; as many or fewer, each for several of the query's.
        size: Width of a head of the query and the key.
        value_size: Width of a head of the value.
        scaling: Factor of the scores; None: the usual one.
        causal: Whether a token sees none that follow it.
        window: One more than the farthest distance seen; None: all of the row is.
    """

    heads: int
    key_heads: int
    size: int
    value_size: int
    scaling: float | None
    causal: bool
    window: int | None


@dataclass(frozen=True)
class PackedRows:
    """Packed rows, as the attention of every layer gets them.

    Under `torch.compile` nobody but `by_rectangles`, which is not compiled, may look into ``rows``: their lists would
    be compiled anew for every batch.

    Args:
        rows: The rows.
        offsets: Where each starts, and the end, int32 [R + 1].
        longest: Tokens of the longest row.
        kernels: The kernels that attend within rows.
        layers: Receives what each layer asks; None: nobody wants to know.
    """

    rows: Packed
    offsets: Tensor
    longest: int
    kernels: "Kernels"
    layers: set[Layer] | None = None

    @classmethod
    def of(cls, rows: Packed, kernels: "Kernels", layers: set[Layer] | None = None) -> "PackedRows":
        """Work out once what every layer needs."""
        return cls(rows, rows["offsets"].int(), max(rows["lengths"]), kernels, layers)


Attend = Callable[[Heads, PackedRows, Layer, float], Tensor]
"""From query, key and value, the rows, what the layer asks and dropout's probability to [1, N, heads, d]."""


@dataclass(frozen=True)
class Kernel:
    """A way to attend.

    Args:
        words: Its name, in words.
        attend: The function.
        drops: Whether it takes dropout.
    """

    words: str
    attend: Attend
    drops: bool


def by_rectangles(heads: Heads, packed: PackedRows, layer: Layer, dropout: float) -> Tensor:
    """Attend in padded rectangles of rows of similar length; for any device, dtype and dropout."""
    found: Tensor = _uncompiled(heads, packed, layer, dropout)
    return found


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _uncompiled(heads: Heads, packed: PackedRows, layer: Layer, dropout: float) -> Tensor:
    groups, rectangles = layer.heads // layer.key_heads, packed.rows["rectangles"]
    query, key, value = heads
    laid = [
        to_rectangles(one.transpose(1, 2)[0], rectangles)
        for one in (query, repeat_kv(key, groups), repeat_kv(value, groups))
    ]
    parts, first = [], 0
    for (count, length), real in zip(rectangles["shapes"], rectangles["masks"], strict=True):
        last = first + count * length
        # [places, heads, d] to [rows, heads, length, d], a view.
        q, k, v = (one[first:last].unflatten(0, (count, length)).transpose(1, 2) for one in laid)
        mask = _mask_of(real, length, layer, q.device)
        causal = layer.causal and mask is None
        out = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout, scale=layer.scaling, is_causal=causal
        )
        parts.append(out.transpose(1, 2).flatten(0, 1))
        first = last
    return to_tokens(parts[0] if len(parts) == 1 else torch.cat(parts), rectangles)[None]


def _mask_of(real: Tensor | None, length: int, layer: Layer, device: torch.device) -> Tensor | None:
    """Return what may be attended to; None where ``is_causal`` says it all.

    Padding follows a row's tokens, so that under a causal mask none of these sees it.
    """
    near = _near(length, layer, device) if layer.window is not None and layer.window < length else None
    if layer.causal or real is None:
        return near
    seen = real[:, None, None, :]
    if near is None:
        return seen
    # Padding beyond the window of the last token sees itself: over nothing a softmax is nan, and so are gradients.
    return (seen & near) | torch.eye(length, dtype=torch.bool, device=device)


def _near(length: int, layer: Layer, device: torch.device) -> Tensor:
    """Return which places see which [length, length]."""
    assert layer.window is not None
    places = torch.arange(length, device=device)
    distance = places[:, None] - places[None, :]
    near = distance.abs() < layer.window
    return near & (distance >= 0) if layer.causal else near


def by_varlen(heads: Heads, packed: PackedRows, layer: Layer, dropout: float) -> Tensor:
    """Attend by torch's own kernel for rows of several lengths, which takes no dropout."""
    from torch.nn.attention.varlen import varlen_attn

    assert not dropout
    groups = layer.heads // layer.key_heads
    query, key, value = heads
    q, k, v = (one.transpose(1, 2)[0] for one in (query, repeat_kv(key, groups), repeat_kv(value, groups)))
    offsets, longest = packed.offsets, packed.longest
    reach = -1 if layer.window is None else layer.window - 1
    size = (reach, 0) if layer.causal else (reach, reach)
    found = varlen_attn(q, k, v, offsets, offsets, longest, longest, scale=layer.scaling, window_size=size)
    assert isinstance(found, Tensor)
    return found[None]


def by_flash_attention(name: str, heads: Heads, packed: PackedRows, layer: Layer, dropout: float) -> Tensor:
    """Attend by one of the FlashAttention kernels that transformers knows by name."""
    from transformers.modeling_flash_attention_utils import _flash_attention_forward

    # Not through the attention function of that name, which asks the model's config for the kernel.
    query, key, value = (one.transpose(1, 2) for one in heads)
    found: Tensor = _flash_attention_forward(
        query,
        key,
        value,
        None,
        query_length=query.shape[1],
        is_causal=layer.causal,
        dropout=dropout,
        softmax_scale=layer.scaling,
        sliding_window=layer.window,
        cu_seq_lens_q=packed.offsets,
        cu_seq_lens_k=packed.offsets,
        max_length_q=packed.longest,
        max_length_k=packed.longest,
        attn_implementation=name,
    )
    return found


RECTANGLES = Kernel("padded rectangles under SDPA", by_rectangles, drops=True)


def candidates(own: str) -> list[Kernel]:
    """Return the kernels for rows of several lengths that may be there, the first choice first.

    Args:
        own: The attention that the encoder has, such as ``sdpa`` or ``flash_attention_2``.
    """
    if own.startswith("flash_attention"):
        return [Kernel(own, partial(by_flash_attention, own), drops=True)]
    found = [Kernel("torch's varlen kernel", by_varlen, drops=False)]
    if is_flash_attn_2_available():
        found.append(Kernel("flash_attention_2", partial(by_flash_attention, "flash_attention_2"), drops=True))
    return found


@dataclass(frozen=True)
class Kernels:
    """Kernels of a run.

    Args:
        plain: Serves calls without dropout.
        dropping: Serves calls with dropout.
        dtype: The dtype that these were tried in; a call in another one goes to rectangles.
        device: The type of the device that these were tried on.
        why_not: Why others serve nothing, in words; empty where all do.
    """

    plain: Kernel = RECTANGLES
    dropping: Kernel = RECTANGLES
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    why_not: Sequence[str] = ()

    def attend(self, heads: Heads, packed: PackedRows, layer: Layer, dropout: float) -> Tensor:
        """Attend by the kernel that serves a call."""
        kernel = self.dropping if dropout else self.plain
        device = heads[0].device.type
        if kernel == RECTANGLES or device != self.device:
            return by_rectangles(heads, packed, layer, dropout)
        # Rotary positions may have turned some of the heads into float32, which autocast knows nothing of here.
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else heads[2].dtype
        if dtype != self.dtype:
            return by_rectangles(heads, packed, layer, dropout)
        query, key, value = (one.to(dtype) for one in heads)
        return kernel.attend((query, key, value), packed, layer, dropout)

    @property
    def words(self) -> str:
        """Name the kernels, and say what speaks against others."""
        served = self.plain.words
        if self.dropping.words != served:
            served += f" without dropout, {self.dropping.words} with it"
        return "; ".join([f"attention in {served}", *self.why_not])


def choose_kernels(
    layers: Collection[Layer], among: Sequence[Kernel], device: torch.device, dtype: torch.dtype
) -> Kernels:
    """Choose kernels by a trial of what the layers ask, each against rectangles in float32.

    Args:
        layers: What the layers of the encoder ask.
        among: Kernels for half precision, the first choice first.
        device: Where the run will be.
        dtype: What attention will be in there.
    """
    if dtype not in _HALF or not among:
        return Kernels()
    plain, dropping, reasons = None, None, []
    for kernel in among:
        found = _tried(kernel, layers, device, dtype, 0.0)
        if found:
            reasons.append(f"{kernel.words} {found}")
            continue
        plain = plain or kernel
        if kernel.drops and dropping is None:
            found = _tried(kernel, layers, device, dtype, _TRIED_DROPOUT)
            if found:
                reasons.append(f"with dropout {kernel.words} {found}")
            else:
                dropping = kernel
    return Kernels(plain or RECTANGLES, dropping or RECTANGLES, dtype, device.type, tuple(reasons))


def _tried(
    kernel: Kernel, layers: Collection[Layer], device: torch.device, dtype: torch.dtype, dropout: float
) -> str:
    """Return what is wrong with a kernel in a forward and a backward, in words; empty if nothing is."""
    for layer in layers:
        try:
            difference = _difference(kernel, layer, device, dtype, dropout)
        except Exception as error:  # an absent package, another signature, a head size
            return f"fails ({type(error).__name__}: {one_line(error)})"
        if not difference <= _CLOSE:
            return f"differs from attention in float32 by {difference:.1e}"
    return ""


def _difference(kernel: Kernel, layer: Layer, device: torch.device, dtype: torch.dtype, dropout: float) -> float:
    """Compare outputs and gradients of random heads with those of rectangles in float32, as norms."""
    lengths = list(_TRIED_LENGTHS)
    if layer.window is not None and layer.window <= _WIDEST_TRIED:
        lengths.append(2 * layer.window + 3)  # so that most of its tokens are at the ends of windows
    packed, heads = _rows(lengths, device), [one.to(device, dtype) for one in _random_heads(layer, sum(lengths))]

    def passed(attend: Attend, dtype: torch.dtype, dropout: float) -> list[Tensor]:
        """Attend, and go back: the output, and the gradients of query, key and value."""
        query, key, value = (one.detach().to(dtype).requires_grad_() for one in heads[:3])
        output = attend((query, key, value), packed, layer, dropout)
        total = (output.float() * heads[3].float()).sum()
        return [output.detach(), *torch.autograd.grad(total, [query, key, value])]

    with torch.enable_grad(), torch.autocast(device.type, enabled=False):
        found = passed(kernel.attend, dtype, dropout)
        if dropout:  # what is dropped is the kernel's own draw: that it drops, and gives numbers, is all that is seen
            is_dropped = not torch.equal(found[0], passed(kernel.attend, dtype, 0.0)[0])
            return 0.0 if is_dropped and all(bool(one.isfinite().all()) for one in found) else float("inf")
        expected = passed(by_rectangles, torch.float32, 0.0)
    pairs = zip(found, expected, strict=True)
    return max(float((one.float() - other).norm() / other.norm()) for one, other in pairs)


def _random_heads(layer: Layer, tokens: int) -> list[Tensor]:
    """Draw query, key and value, and factors of the output, from a generator of their own."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(layer.heads, layer.size), (layer.key_heads, layer.size), (layer.key_heads, layer.value_size)]
    drawn = [torch.randn(1, count, tokens, size, generator=generator) for count, size in shapes]
    return [*drawn, torch.randn(1, tokens, layer.heads, layer.value_size, generator=generator)]


def _rows(lengths: Sequence[int], device: torch.device) -> PackedRows:
    """Rows of some lengths, whose ids nobody looks at."""
    ids = torch.zeros(sum(lengths), dtype=torch.long, device=device)
    return PackedRows.of(pack_for_trial(ids, lengths), Kernels())
