"""Texts encoded once with an encoder's frozen lower layers, to train the upper ones on the result.

Frozen layers run without dropout, so what they give for a text is a constant; a study that trains the upper layers a
hundred times need not compute it a hundred times. Works for encoders built like BERT: `embeddings`, `encoder.layer`.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_mtl.modeling.parameters import training_flops
from hf_mtl.training.trainer.cut_steps import Fed, micro_batches_of
from hf_mtl.training.trainer.trainer import MultiTaskTrainer


class FrozenFeatures(nn.Module):
    """Stands where an encoder's embeddings were, and gives the output of its frozen lower layers.

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

    @property
    def lower(self) -> PreTrainedModel:
        """Return the frozen embeddings and layers, as an encoder."""
        return self._lower[0]

    def forget(self) -> None:
        """Drop what is known, before other texts come."""
        self._known.clear()

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None = None, **_: Any) -> Tensor:
        """Turn token ids and types [b, l] into hidden states [b, l, H]."""
        keys, lengths = self.remember(input_ids, token_type_ids)
        states = torch.zeros(*input_ids.shape, self.word_embeddings.embedding_dim)
        for place, (key, length) in enumerate(zip(keys, lengths, strict=True)):
            states[place, :length] = self._known[key]
        return states

    @torch.no_grad()
    def remember(self, input_ids: Tensor, token_type_ids: Tensor | None = None) -> tuple[list[bytes], list[int]]:
        """Encode the texts that are not known yet; return key and length of each text."""
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        lengths = (input_ids != self.pad_id).sum(dim=1).tolist()
        keys = [
            torch.stack([row[:length], kind[:length]]).numpy().tobytes()
            for row, kind, length in zip(input_ids, types, lengths, strict=True)
        ]
        missing = list({key: place for place, key in enumerate(keys) if key not in self._known}.values())
        if missing:
            # Cut to its longest: the rows that are new may be shorter than those that are known.
            width = max(lengths[place] for place in missing)
            states = self._encode(input_ids[missing, :width], types[missing, :width])
            for place, mine in zip(missing, states, strict=True):
                self._known[keys[place]] = mine[: lengths[place]].clone()
        return keys, lengths

    def _encode(self, ids: Tensor, types: Tensor) -> Tensor:
        # What is remembered is float32 in every run, also in one that trains in bfloat16.
        with torch.autocast("cpu", enabled=False):
            mask = (ids != self.pad_id).long()
            found: Tensor = self.lower(input_ids=ids, token_type_ids=types, attention_mask=mask).last_hidden_state
            return found


def use_frozen_features(encoder: PreTrainedModel, features: FrozenFeatures, layers: int) -> None:
    """Replace an encoder's embeddings and lower layers, in place, by what is known of them."""
    encoder.embeddings = features
    encoder.encoder.layer = encoder.encoder.layer[layers:]
    encoder.config.num_hidden_layers = len(encoder.encoder.layer)


class FrozenFeaturesTrainer(MultiTaskTrainer):
    """Counts the operations of a run without the memory, with the frozen layers' forward in every step."""

    def floating_point_ops(self, inputs: Fed) -> int:
        """Count those of the trained layers, and of the frozen ones below."""
        features: FrozenFeatures = self.model.encoder.embeddings
        below = [training_flops(features.lower, batch, backward=False) for batch in micro_batches_of(inputs)]
        return super().floating_point_ops(inputs) + sum(below)
