"""The backbone's own sequence classification head, run by the backbone's own code."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from hf_mtl.errors import HfMtlError, Mistake, ModelError, one_line
from hf_mtl.modeling.allowance import Allowance, building
from hf_mtl.modeling.dropout import set_dropout
from hf_mtl.modeling.heads.base import Dropout, FeatureSource, Head, register
from hf_mtl.tasks import Task

# Families whose classification model is "encoder, then head" with one feature vector per row between the two.
# True: the head reads the output of the encoder's pooler.
_READS_POOLER = {
    "albert": True,
    "bert": True,
    "camembert": False,
    "deberta": False,
    "deberta-v2": False,
    "distilbert": False,
    "electra": False,
    "modernbert": False,
    "roberta": False,
    "xlm-roberta": False,
}


def has_native_head(config: PreTrainedConfig) -> bool:
    """Tell whether the head of a family is known to be separable from its encoder."""
    return config.model_type in _READS_POOLER


@register("native")
class NativeHead(Head):
    """The head that `AutoModelForSequenceClassification` puts on this backbone; `export_task` can write it.

    The architecture's model is built with its encoder replaced by a stub that returns the given features.

    Args:
        features: Width H of the features.
        task: The task.
        config: The backbone's config.
        dropout: Probability; None: the backbone's own.

    Shape:
        features [n, H] -> outputs [n, C].
    """

    def __init__(self, features: int, task: Task, config: PreTrainedConfig, *, dropout: Dropout = None):
        super().__init__(features, task, config)
        self.model = _without_encoder(_head_config(config, self.outputs, dropout))

    @classmethod
    def source(cls, config: PreTrainedConfig, task: Task) -> FeatureSource:
        """Return ``pooler`` for BERT and ALBERT, whose heads read its output, and ``pooled`` for the others."""
        return "pooler" if _READS_POOLER.get(config.model_type) else "pooled"

    @classmethod
    def forced_pooling(cls, config: PreTrainedConfig) -> str | None:
        """Return the pooling of the architecture: the first token, or what ModernBERT's config says."""
        return str(getattr(config, "classifier_pooling", "cls"))

    @classmethod
    def unsupported(cls, config: PreTrainedConfig) -> str | None:
        """Tell if the head of the family is not known to be separable."""
        if has_native_head(config):
            return None
        return f"'{config.model_type}' has no native head in hf_mtl; {', '.join(sorted(_READS_POOLER))} have one"

    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, H] to outputs [n, C]."""
        logits: Tensor = self.model(inputs_embeds=features).logits
        return logits


class _GivenFeatures(nn.Module):
    """A stub where the encoder was. It returns the features that came in as ``inputs_embeds`` [n, H]."""

    def forward(self, *args: Any, inputs_embeds: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        return BaseModelOutputWithPooling(last_hidden_state=inputs_embeds.unsqueeze(1), pooler_output=inputs_embeds)

    def get_input_embeddings(self) -> nn.Module:
        # What transformers expects of a model without embeddings; it then looks elsewhere.
        raise NotImplementedError


def _head_config(config: PreTrainedConfig, outputs: int, dropout: float | None) -> PreTrainedConfig:
    config = copy.deepcopy(config)
    config.num_labels = outputs
    config.dtype = None  # the dtype of the surrounding model, not the checkpoint's
    if dropout is not None:
        set_dropout(config, dropout)
    return config


def _without_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """Build the classification model on the meta device, drop its encoder, then make its head real."""
    device = torch.get_default_device()
    try:
        with torch.device("meta"), building(Allowance.of_machine, "model.head", apart=True):
            model = AutoModelForSequenceClassification.from_config(config)
    except HfMtlError:
        raise
    except Exception as error:  # each architecture trusts its config, and fails at a wrong value in its own way
        problem = f"cannot build the head of '{config.model_type}': {one_line(error)}"
        raise ModelError(Mistake("model.head", problem)) from error
    setattr(model, model.base_model_prefix, _GivenFeatures())
    if device.type != "meta":  # inside from_pretrained the loader does both of these
        model.to_empty(device=device)
        model.initialize_weights()
    return model
