"""Run the encoder over a micro-batch: packed where it can, and else in padded rectangles, unpadded at once."""

import inspect
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from hf_mtl.batch import Packed
from hf_mtl.modeling.attention_kernels import Kernels, Layer, PackedRows
from hf_mtl.modeling.encoded import Encoded
from hf_mtl.modeling.packed_attention import packed_masks
from hf_mtl.modeling.rectangles import to_rectangles, to_tokens


@dataclass(frozen=True)
class PackedCall:
    """How an encoder that packs is called, see `hf_mtl.modeling.encoder_layout`.

    Args:
        first_position: Position of a row's first token.
        padding: Token that positions do not count, and that has the one before the first; None: all are counted.
        kernels: The kernels that attend within rows.
        layers: Receives what the attention of each layer asks; None: nobody wants to know.
    """

    first_position: int
    padding: int | None = None
    kernels: Kernels = field(default_factory=Kernels)
    layers: set[Layer] | None = None


def encode_packed(encoder: nn.Module, packed: Packed, call: PackedCall, pooler: bool) -> Encoded:
    """Encode rows in one call of an encoder that packs.

    Args:
        encoder: The backbone.
        packed: The rows.
        call: How it is called.
        pooler: Whether the output of the backbone's pooler is wanted.
    """
    types = packed["token_type_ids"][None] if "token_type_ids" in packed else None
    inputs = encoder_inputs(encoder, packed["input_ids"][None], types, None)
    positions = _positions(packed, call)
    rows = PackedRows.of(packed, call.kernels, call.layers)
    with packed_masks():
        output = encoder(**inputs, position_ids=positions[None], packed_rows=rows)
    found = Encoded(output["last_hidden_state"][0], packed["offsets"], counts=packed["lengths"])
    if not pooler:
        return found
    # The encoder's own call has pooled the first token of all rows alone.
    return replace(found, pooler_output=_pool(encoder, found.first()))


def encode_rectangles(encoder: nn.Module, packed: Packed, pooler: bool) -> Encoded:
    """Encode rows in a call for each of their rectangles, and drop the padding."""
    rectangles = packed["rectangles"]
    ids = to_rectangles(packed["input_ids"], rectangles)
    types = to_rectangles(packed["token_type_ids"], rectangles) if "token_type_ids" in packed else None
    states, pooled, first = [], [], 0
    for (rows, length), real in zip(rectangles["shapes"], rectangles["masks"], strict=True):
        places = slice(first, first := first + rows * length)
        own_ids = ids[places].view(rows, length)
        if real is None:
            mask = torch.ones_like(own_ids)
        else:
            # What stands in padding places is a token; some families read from the ids where padding is.
            own_ids, mask = own_ids.masked_fill(~real, rectangles["pad_id"]), real.long()
        own_types = None if types is None else types[places].view(rows, length)
        if own_types is not None and real is not None:
            own_types = own_types.masked_fill(~real, 0)
        output = encoder(**encoder_inputs(encoder, own_ids, own_types, mask))
        states.append(output["last_hidden_state"].flatten(0, 1))
        if pooler:
            pooled.append(output["pooler_output"])
    tokens = to_tokens(states[0] if len(states) == 1 else torch.cat(states), rectangles)
    return Encoded(tokens, packed["offsets"], _in_order(pooled, packed) if pooler else None, packed["lengths"])


def _in_order(pooled: list[Tensor], packed: Packed) -> Tensor:
    """Put one vector of each row back from the order of the rectangles."""
    joined = pooled[0] if len(pooled) == 1 else torch.cat(pooled)
    place = packed["rectangles"]["place"]
    if place is None:
        return joined
    # Rows come in the order of their first tokens' places.
    firsts = place[packed["offsets"][:-1]]
    return joined.index_select(0, firsts.argsort().argsort())


def _positions(packed: Packed, call: PackedCall) -> Tensor:
    """Return the position of each token, [N]."""
    ids, offsets = packed["input_ids"], packed["offsets"]
    starts = offsets[:-1].repeat_interleave(offsets.diff(), output_size=len(ids))
    if call.padding is None:
        return torch.arange(len(ids), device=ids.device) - starts + call.first_position
    counted = (ids != call.padding).long()
    up_to = counted.cumsum(0)
    in_row = up_to - (up_to - counted)[starts]
    return in_row * counted + call.first_position - 1


def _pool(encoder: Any, first: Tensor) -> Tensor:
    pooler = encoder.pooler
    if isinstance(pooler, nn.Linear):  # ALBERT's activation is beside its pooler
        found: Tensor = encoder.pooler_activation(pooler(first))
        return found
    found = pooler(first[:, None])
    return found


def encoder_inputs(encoder: nn.Module, ids: Tensor, types: Tensor | None, mask: Tensor | None) -> dict[str, Any]:
    """Return the arguments of an encoder's forward: those that it takes.

    Args:
        encoder: The backbone.
        ids: Token ids [B, L].
        types: Segment ids, of the shape of ``ids``; None: there are none.
        mask: 1 for real tokens [B, L]; None: all are.
    """
    takes = _parameters(type(encoder))  # type: ignore[arg-type]
    inputs: dict[str, Any] = {"input_ids": ids}
    if mask is not None:
        inputs["attention_mask"] = mask
    if types is not None and "token_type_ids" in takes:
        inputs["token_type_ids"] = types
    if "use_cache" in takes:
        inputs["use_cache"] = False  # nobody generates
    return inputs


@cache
def _parameters(encoder_class: type[nn.Module]) -> frozenset[str]:
    return frozenset(inspect.signature(encoder_class.forward).parameters)
