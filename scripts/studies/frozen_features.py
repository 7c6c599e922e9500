"""Encode every text once with the frozen lower layers, and train the upper ones on the result.

Frozen layers run without dropout, so what they give for a text is a constant; a study that trains the upper layers a
hundred times need not compute it a hundred times. Works for encoders built like BERT: `embeddings`, `encoder.layer`.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


class FrozenFeatures(nn.Module):
    """Stands where an encoder's embeddings were; gives the output of its frozen lower layers.

    Args:
        encoder: The pretrained encoder.
        layers: Number of lower layers that are frozen.
        pad_id: Token id of padding.
    """

    def __init__(self, encoder: PreTrainedModel, layers: int, pad_id: int):
        super().__init__()
        lower = copy.deepcopy(encoder).eval().requires_grad_(False)
        lower.encoder.layer = lower.encoder.layer[:layers]
        lower.pooler = None
        self._lower = (lower,)  # not a submodule: nothing of it is trained, saved or counted
        self.word_embeddings = lower.embeddings.word_embeddings
        self.pad_id = pad_id
        self._known: dict[bytes, Tensor] = {}

    @torch.no_grad()
    def forward(self, input_ids: Tensor, **_: Any) -> Tensor:
        """Token ids [b, l] to hidden states [b, l, H]."""
        lengths = (input_ids != self.pad_id).sum(dim=1).tolist()
        keys = [row[:length].numpy().tobytes() for row, length in zip(input_ids, lengths, strict=True)]
        missing = list({key: place for place, key in enumerate(keys) if key not in self._known}.values())
        if missing:
            self._encode(
                input_ids[missing], [lengths[place] for place in missing], [keys[place] for place in missing]
            )
        states = torch.zeros(*input_ids.shape, self.word_embeddings.embedding_dim)
        for place, (key, length) in enumerate(zip(keys, lengths, strict=True)):
            states[place, :length] = self._known[key]
        return states

    def _encode(self, input_ids: Tensor, lengths: list[int], keys: list[bytes]) -> None:
        width = max(lengths)
        rows = input_ids[:, :width]
        with torch.autocast("cpu", enabled=False):
            hidden = self._lower[0](input_ids=rows, attention_mask=(rows != self.pad_id).long()).last_hidden_state
        for key, length, states in zip(keys, lengths, hidden, strict=True):
            self._known[key] = states[:length].clone()


def use_frozen_features(encoder: PreTrainedModel, features: FrozenFeatures, layers: int) -> None:
    """Replace an encoder's embeddings and lower layers, in place, by what is known of them."""
    encoder.embeddings = features
    encoder.encoder.layer = encoder.encoder.layer[layers:]
