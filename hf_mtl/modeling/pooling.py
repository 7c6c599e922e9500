"""How one vector is made of a text's hidden states."""

from typing import get_args

from transformers import PreTrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from hf_mtl.modeling.encoded import Pooling

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


def default_pooling(config: PreTrainedConfig) -> str:
    """Choose for a backbone: ``cls`` for masked language models, ``last`` for causal ones, else ``mean``."""
    if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "cls"
    return "last" if config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else "mean"
