"""One vector per text from its hidden states."""

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)


def _cls(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden[:, 0]


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    # The order of operations of ModernBertForSequenceClassification, to agree with it bit for bit.
    return (hidden * mask.unsqueeze(-1)).sum(dim=1) / mask.sum(dim=1, keepdim=True)


def _last(hidden: Tensor, mask: Tensor) -> Tensor:
    # The last real token, whichever side the padding is on.
    positions = torch.arange(mask.shape[1], device=mask.device)
    last = (positions * mask.to(positions.dtype)).argmax(dim=1)
    return hidden[torch.arange(hidden.shape[0], device=hidden.device), last]


def _max(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden.masked_fill(mask.unsqueeze(-1) == 0, torch.finfo(hidden.dtype).min).amax(dim=1)


POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"cls": _cls, "last": _last, "max": _max, "mean": _mean}


def pool(hidden: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """Pool hidden states over the real tokens.

    Args:
        hidden: Hidden states [B, L, H].
        mask: Attention mask [B, L], 1 for real tokens.
        pooling: ``cls`` (first position), ``mean``, ``last`` or ``max``.

    Returns:
        Features [B, H].
    """
    return POOLINGS[pooling](hidden, mask)


def default_pooling(config: PreTrainedConfig) -> str:
    """Choose for a backbone: ``cls`` for masked language models, ``last`` for causal ones, else ``mean``."""
    if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "cls"
    return "last" if config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else "mean"
