"""Modeling: configuration, encoder, packed rows, heads, losses: rows -> losses and logits per task."""

from transformers import AutoConfig, AutoModel

from hf_mtl.modeling.backbone import resolve_backbone
from hf_mtl.modeling.choices import config_mistakes
from hf_mtl.modeling.configuration import MultiTaskConfig
from hf_mtl.modeling.encoded import Encoded
from hf_mtl.modeling.heads import (
    Head,
    build_head,
    default_head,
    head_mistakes,
)
from hf_mtl.modeling.losses import mean_loss
from hf_mtl.modeling.model import MultiTaskModel
from hf_mtl.modeling.output import MultiTaskOutput
from hf_mtl.modeling.parameters import split_parameters
from hf_mtl.modeling.pooling import POOLINGS, default_pooling

AutoConfig.register(MultiTaskConfig.model_type, MultiTaskConfig, exist_ok=True)
AutoModel.register(MultiTaskConfig, MultiTaskModel, exist_ok=True)

__all__ = [
    "POOLINGS",
    "Encoded",
    "Head",
    "MultiTaskConfig",
    "MultiTaskModel",
    "MultiTaskOutput",
    "build_head",
    "config_mistakes",
    "default_head",
    "default_pooling",
    "head_mistakes",
    "mean_loss",
    "resolve_backbone",
    "split_parameters",
]
