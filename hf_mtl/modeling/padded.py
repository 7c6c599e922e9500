"""Rows that come as one padded rectangle, as a user or an exported program gives them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hf_mtl.errors import Mistake, ModelError
from hf_mtl.modeling.encode import encoder_inputs
from hf_mtl.modeling.encoded import Encoded, Pooling


def encode_padded(
    encoder: nn.Module, input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None, pooler: bool
) -> "Encoded | PaddedStates":
    """Encode a rectangle in one call, and drop its padding.

    Args:
        encoder: The backbone.
        input_ids: Token ids [B, L].
        attention_mask: 1 for real tokens [B, L]; None: all are.
        token_type_ids: Segment ids [B, L].
        pooler: Whether the output of the backbone's pooler is wanted.

    Returns:
        The rows; under `torch.export`, whose program does not know which places are padding, the rectangle itself.

    Raises:
        ModelError: If the mask has another shape, a row without tokens, or a row with padding between tokens.
    """
    named = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
    inputs = align_left({name: value for name, value in named.items() if value is not None})
    mask = inputs.get("attention_mask")
    output = encoder(**encoder_inputs(encoder, inputs["input_ids"], inputs.get("token_type_ids"), mask))
    states, pooled = output["last_hidden_state"], output["pooler_output"] if pooler else None
    if torch.compiler.is_exporting():
        real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        return PaddedStates(states, real if mask is None else mask, pooled, first_tokens(real))
    if mask is None:
        rows, length = states.shape[:2]
        offsets = torch.arange(rows + 1, device=states.device) * length
        return Encoded(states.flatten(0, 1), offsets, pooled)
    real = mask != 0
    return Encoded(states[real], F.pad(real.sum(dim=1).cumsum(0), (1, 0)), pooled)


@dataclass(frozen=True)
class PaddedStates:
    """Hidden states of rows that are still padded, on the right; where an exported program cannot drop the padding.

    Args:
        states: Hidden states [B, L, H].
        mask: 1 for real tokens [B, L].
        pooler_output: What the backbone's pooler makes of each row [B, H]; None: nobody asked.
        starts: The column of each row's first token before padding was moved behind it [B, 1]; None: the first.
    """

    states: Tensor
    mask: Tensor
    pooler_output: Tensor | None = None
    starts: Tensor | None = None

    def pooled(self, pooling: Pooling) -> Tensor:
        """One vector of each row [B, H], as `Encoded.pooled`."""
        if pooling == "cls":
            return self.states[:, 0]
        if pooling == "last":
            last = self.mask.sum(dim=1) - 1
            return self.states.gather(1, last[:, None, None].expand(-1, 1, self.states.shape[2]))[:, 0]
        mask = self.mask.unsqueeze(-1)
        if pooling == "mean":
            dtype = torch.promote_types(self.states.dtype, torch.float32)
            return ((self.states.to(dtype) * mask).sum(dim=1) / mask.sum(dim=1)).to(self.states.dtype)
        return self.states.masked_fill(mask == 0, torch.finfo(self.states.dtype).min).amax(dim=1)

    def everywhere(self) -> Tensor:
        """Return the states of all places, padding's too, row by row as the rectangle was given, [B * L, H]."""
        return self._in_columns(self.states).flatten(0, 1)

    def laid_out(self, outputs: Tensor, absent: float) -> Tensor:
        """Put what was made of `everywhere` [B * L, C] into its columns, [B, L, C], float32.

        Args:
            outputs: The outputs of all places.
            absent: What stands where padding is.
        """
        real = self._in_columns(self.mask.unsqueeze(-1)) != 0
        placed = outputs.float().view(*self.mask.shape, outputs.shape[-1])
        return torch.where(real, placed, absent)

    def _in_columns(self, values: Tensor) -> Tensor:
        """Undo the moving of padding for values of all places [B, L, F]."""
        if self.starts is None:
            return values
        length = values.shape[1]
        places = torch.arange(length, device=values.device) - self.starts
        places = torch.where(places < 0, places + length, places)
        return values.gather(1, places.unsqueeze(-1).expand(-1, -1, values.shape[2]))

    def __getitem__(self, rows: slice) -> "PaddedStates":
        """Return rows that follow each other."""
        pooler = None if self.pooler_output is None else self.pooler_output[rows]
        starts = None if self.starts is None else self.starts[rows]
        return PaddedStates(self.states[rows], self.mask[rows], pooler, starts)


def first_tokens(mask: Tensor) -> Tensor:
    """Find the column of the first token of each row of a rectangle, int64 [B, 1].

    Args:
        mask: 1 for real tokens [B, L].
    """
    return (mask != 0).int().argmax(dim=1, keepdim=True)


def align_left(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Move padding that stands before the tokens of a rectangle behind them, where positions do not count it.

    Rectangles with padding on the right stay as they are. Looks at the mask's values, so a GPU waits for it; under
    `torch.export` it does not look, and moves those too, by nothing.

    Args:
        inputs: ``input_ids``, and ``attention_mask`` and ``token_type_ids`` where they are given [b, l].

    Raises:
        ModelError: If the mask has another shape, a row without tokens, or a row with padding between tokens.
    """
    mask = inputs.get("attention_mask")
    if mask is None:
        return inputs
    shape, found = list(inputs["input_ids"].shape), list(mask.shape)
    if shape != found:
        raise ModelError(f"attention_mask has the shape {found}; give one that fits input_ids, {shape}")
    real = mask != 0
    before = F.pad(real, (1, 0))[:, :-1]
    starts = real & ~before  # of runs of real tokens, of which a row has one
    if not torch.compiler.is_exporting():  # a program that is exported has no values to look at
        if bool(starts[:, :1].all() & (starts.sum(dim=1) == 1).all()):
            return inputs
        _check_runs(starts.sum(dim=1))
    places = torch.arange(mask.shape[1], device=mask.device) + first_tokens(mask)
    # Not a remainder, which ONNX does not take of a length that is not known.
    places = torch.where(places >= mask.shape[1], places - mask.shape[1], places)
    moved = {
        "input_ids": inputs["input_ids"].gather(1, places),
        "attention_mask": mask.gather(1, places),
    }
    if "token_type_ids" in inputs:
        moved["token_type_ids"] = inputs["token_type_ids"].gather(1, places)
    return moved


def _check_runs(runs: Tensor) -> None:
    for rows, words in (((runs == 0), "is 0 everywhere"), ((runs > 1), "has a 0 between two 1")):
        if rows.any():
            first = int(rows.int().argmax())
            remedy = "Only padding before or after the tokens of a row can be left out."
            raise ModelError(Mistake("attention_mask", f"{words} in row {first}, counted from 0", remedy))
