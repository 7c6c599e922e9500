"""Run the encoder over a few padded rectangles and put the pooled features back in row order."""

import inspect
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn

from hf_mtl.modeling.heads.base import FeatureSource
from hf_mtl.modeling.pooling import pool

Group = dict[str, Tensor]


def encode(
    encoder: nn.Module,
    groups: Sequence[Group],
    order: Tensor | None,
    pooling: str,
    sources: Sequence[FeatureSource],
) -> dict[FeatureSource, Tensor]:
    """Encode length groups, each once, and give the features of the rows.

    Args:
        encoder: The backbone.
        groups: Padded ``input_ids``, ``attention_mask`` (None: no padding) and ``token_type_ids`` [b, l] per group.
        order: Row i has encoding ``order[i]`` of the concatenated groups [N]; several rows may share one.
            None: as they come.
        pooling: How hidden states become one vector.
        sources: Which features are wanted: ``pooled``, ``pooler`` or both.

    Returns:
        Features [N, H] by source.
    """
    parts: dict[FeatureSource, list[Tensor]] = {source: [] for source in sources}
    for group in groups:
        output = encoder(**_inputs(type(encoder), group))
        for source, tensors in parts.items():
            tensors.append(output.pooler_output if source == "pooler" else _pooled(output, group, pooling))
    features = {source: torch.cat(tensors) if len(tensors) > 1 else tensors[0] for source, tensors in parts.items()}
    if order is None:
        return features
    return {source: tensor.index_select(0, order) for source, tensor in features.items()}


def _inputs(encoder_class: type[nn.Module], group: Group) -> Group:
    names = ["input_ids", "attention_mask"] + ["token_type_ids"] * _takes_token_types(encoder_class)  # type: ignore[arg-type]
    return {name: group[name] for name in names if group.get(name) is not None}


@cache
def _takes_token_types(encoder_class: type[nn.Module]) -> bool:
    return "token_type_ids" in inspect.signature(encoder_class.forward).parameters


def _pooled(output: dict[str, Tensor], group: Group, pooling: str) -> Tensor:
    mask = group.get("attention_mask")
    return pool(output["last_hidden_state"], torch.ones_like(group["input_ids"]) if mask is None else mask, pooling)
