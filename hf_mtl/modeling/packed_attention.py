"""Attention among the tokens of each row, where the rows of a micro-batch stand end to end as one.

An encoder that is told to use `implementation_for` its own attention runs on rows packed into [1, N] as on each of
them alone, as far as its layers hand the keyword ``packed_rows`` down to the attention function. What else it does
with tokens (relative positions, convolutions) is not seen here: `hf_mtl.modeling.encoder_layout` tries it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from hf_mtl.modeling.attention_kernels import Layer, PackedRows

_PREFIX = "hf_mtl_packed|"
_PACKED_NOW: ContextVar[bool] = ContextVar("hf_mtl_packed_now", default=False)
_UNKNOWN = ("softcap", "position_bias", "s_aux", "cache", "head_mask")


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


def packs_now(encoder: PreTrainedModel) -> bool:
    """Tell whether an encoder's attention packs; somebody may have chosen another one since."""
    return str(encoder.config._attn_implementation).startswith(_PREFIX)


def set_attention(encoder: PreTrainedModel, name: str) -> None:
    """Choose the attention function of an encoder's layers; a name of ours never reaches a saved config.

    Not through `set_attn_implementation`, which takes a name it does not know for a kernel of the Hub.
    """
    for module in encoder.modules():
        if isinstance(module, PreTrainedModel):
            module.config._attn_implementation_internal = name


@contextmanager
def packed_masks() -> Iterator[None]:
    """Have no masks made while an encoder's forward runs on packed rows: a block for each row would be [N, N]."""
    token = _PACKED_NOW.set(True)
    try:
        yield
    finally:
        _PACKED_NOW.reset(token)


def _mask(own: str, *args: Any, **kwargs: Any) -> Any:
    # An attention that transformers knows no mask for gets none from it either.
    make = None if _PACKED_NOW.get() else AttentionMaskInterface._global_mapping.get(own)
    return None if make is None else make(*args, **kwargs)


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
    packed_rows: PackedRows | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Any]:
    """Attend within rows; the signature is that of transformers' attention functions.

    Shape:
        query [1, heads, N, d], key and value [1, heads or fewer, N, d] -> [1, N, heads, d].
    """
    if packed_rows is None:
        if is_causal is not None:
            kwargs["is_causal"] = is_causal
        with _named(module, own):
            found: tuple[Tensor, Any] = _function_of(own, module)(
                module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
            )
        return found
    if more := [name for name in _UNKNOWN if kwargs.get(name) is not None]:
        raise ValueError(f"packed rows know nothing of {more[0]} in attention")
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    window = kwargs.get("sliding_window")
    layer = Layer(query.shape[1], key.shape[1], query.shape[3], value.shape[3], scaling, causal, window)
    if packed_rows.layers is not None:
        packed_rows.layers.add(layer)
    return packed_rows.kernels.attend((query, key, value), packed_rows, layer, dropout), None


def _function_of(own: str, module: nn.Module) -> Callable[..., tuple[Tensor, Any]]:
    if own != "eager":
        found: Callable[..., tuple[Tensor, Any]] = ALL_ATTENTION_FUNCTIONS[own]
        return found
    # Each family keeps its eager attention in the file of its layers.
    eager: Callable[..., tuple[Tensor, Any]] = sys.modules[type(module).__module__].eager_attention_forward
    return eager


@contextmanager
def _named(module: nn.Module, own: str) -> Iterator[None]:
    """Have the config name the attention that runs: FlashAttention asks it which of its kernels is meant."""
    config = getattr(module, "config", None)
    if config is None or not own.startswith("flash_attention"):
        yield
        return
    before, config._attn_implementation_internal = config._attn_implementation_internal, own
    try:
        yield
    finally:
        config._attn_implementation_internal = before
