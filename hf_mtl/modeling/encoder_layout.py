"""The layout in which an encoder gets its rows, and the attention that this wants."""

from dataclasses import dataclass
from typing import get_args

import torch
from transformers import PreTrainedModel

from hf_mtl.batch import EncoderLayout
from hf_mtl.errors import Mistake, ModelError, known
from hf_mtl.modeling.attention_kernels import Kernels, candidates, choose_kernels
from hf_mtl.modeling.encode import PackedCall
from hf_mtl.modeling.in_passing import generators_put_back
from hf_mtl.modeling.packed_attention import implementation_for, own_implementation, set_attention
from hf_mtl.modeling.packing import Packing, try_packing

_ACCELERATED = ("cuda",)
"""Devices that have kernels for rows of several lengths."""


@dataclass(frozen=True)
class Settled:
    """The layout in which an encoder gets its rows.

    Args:
        asked: The layout that was asked for.
        layout: ``packed``, ``groups`` or ``padded``.
        why: The reason, in words.
        place: Device and dtype that it was settled for.
        call: How the encoder is called with packed rows; None where it is not.
    """

    asked: EncoderLayout
    layout: EncoderLayout
    why: str
    place: tuple[str, torch.dtype]
    call: PackedCall | None = None

    @property
    def words(self) -> str:
        """Name the layout, and the reason."""
        return f"{self.layout}: {self.why}"

    @property
    def as_trainer(self) -> bool:
        """Tell whether the layout of `transformers.Trainer` was asked for, and with it its products."""
        return self.layout == "padded"

    @property
    def in_float32(self) -> bool:
        """Tell whether products are those of float32 on a CPU."""
        return self.place == ("cpu", torch.float32)


def settle_layout(
    encoder: PreTrainedModel,
    asked: EncoderLayout,
    pooler: bool,
    precision: torch.dtype | None = None,
    device: torch.device | None = None,
) -> Settled:
    """Decide how an encoder gets its rows, and give its layers the attention that this wants.

    Args:
        encoder: The backbone.
        asked: The layout that the user asks for.
        pooler: Whether the output of its pooler is wanted.
        precision: The dtype of autocast; None: there is none, and attention is in that of the weights.
        device: Where the encoder will be run; None: where it is.

    Raises:
        ModelError: If ``packed`` is asked for and the encoder does not pack, or there is no such layout.
    """
    if asked not in get_args(EncoderLayout):
        allowed = known(get_args(EncoderLayout), str(asked))
        raise ModelError(Mistake("training.encoder_layout", f"unknown value {asked!r}", allowed))
    own = own_implementation(encoder.config._attn_implementation)
    set_attention(encoder, own)
    place = place_of(encoder, precision, device)
    if asked in ("groups", "padded"):
        return Settled(asked, asked, "as asked", place)
    found = try_packing(encoder, pooler)
    if isinstance(found, str):
        reason = f"'{encoder.config.model_type}' does not pack: {found}"
        if asked == "packed":
            raise ModelError(
                Mistake("training.encoder_layout", f"is packed, and {reason}", "Use auto, groups or padded")
            )
        return Settled(asked, "groups", reason, place)
    kernels = _kernels(own, found, device or encoder.device, place[1])
    set_attention(encoder, implementation_for(own))
    words = (
        f"packed rows agree with rows alone to {found.difference:.0e}, gradients to {found.gradient_difference:.0e}; "
        f"{kernels.words}"
    )
    return Settled(asked, "packed", words, place, PackedCall(found.first_position, found.padding, kernels))


def place_of(
    encoder: PreTrainedModel, precision: torch.dtype | None, device: torch.device | None = None
) -> tuple[str, torch.dtype]:
    """Return where an encoder's attention is run, and in which dtype.

    Args:
        encoder: The backbone.
        precision: As for `settle_layout`.
        device: As for `settle_layout`.
    """
    return str(device or encoder.device), precision or encoder.dtype


def _kernels(own: str, packing: Packing, device: torch.device, dtype: torch.dtype) -> Kernels:
    """Choose the kernels for what an encoder's layers have asked."""
    if device.type not in _ACCELERATED:
        return Kernels()
    with generators_put_back(device):
        return choose_kernels(packing.layers, candidates(own), device, dtype)
