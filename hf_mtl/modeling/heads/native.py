"""The backbone's own sequence classification head, run by the backbone's own code."""

import copy
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from hf_mtl.errors import HfMtlError, Mistake, ModelError, one_line
from hf_mtl.modeling.allowance import Allowance, building
from hf_mtl.modeling.dropout import set_dropout
from hf_mtl.modeling.heads.base import Dropout, FeatureSource, Head, register
from hf_mtl.tasks import Task

# Families whose multiple choice model reads the pooler's output; that of the others pools by itself, or is none.
_CHOICES_READ_POOLER = ("albert", "bert", "camembert", "roberta", "xlm-roberta")
# Decoders, whose classification model reads the state of the last token that is no padding.
_DECODERS = ("llama", "mistral", "qwen2", "qwen3")
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
    **dict.fromkeys(_DECODERS, False),
}


def has_native_head(config: PreTrainedConfig) -> bool:
    """Tell whether the head of a family is known to be separable from its encoder."""
    return config.model_type in _READS_POOLER


def reads_last_token(config: PreTrainedConfig) -> bool:
    """Tell whether the head of a family reads a row's last token: that of a decoder, which has seen all before it."""
    return config.model_type in _DECODERS


@register("native")
class NativeHead(Head):
    """The head that transformers puts on this backbone for such a task; `export_task` can write it.

    It is that of `AutoModelForSequenceClassification`, or of the class that the task's type names. The architecture's
    model is built with its encoder replaced by a stub that returns the given features.

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
        self.per = task.outputs_per
        self.model = _without_encoder(_auto_model(task), _head_config(config, self.outputs, dropout))

    @classmethod
    def source(cls, config: PreTrainedConfig, task: Task) -> FeatureSource:
        """Return ``pooler`` for the families whose heads read its output, and ``pooled`` for the others."""
        if task.outputs_per == "sequence":
            return "pooler" if config.model_type in _CHOICES_READ_POOLER else "pooled"
        return "pooler" if _READS_POOLER.get(config.model_type) else "pooled"

    @classmethod
    def forced_pooling(cls, config: PreTrainedConfig) -> str | None:
        """Return the pooling of the architecture: first or last token, or what ModernBERT's config says."""
        if reads_last_token(config):
            return "last"
        return str(getattr(config, "classifier_pooling", "cls"))

    @classmethod
    def unsupported(cls, config: PreTrainedConfig) -> str | None:
        """Tell if the head of the family is not known to be separable."""
        if has_native_head(config):
            return None
        return f"'{config.model_type}' has no native head in hf_mtl; {', '.join(sorted(_READS_POOLER))} have one"

    @classmethod
    def unsuited(cls, task: Task, config: PreTrainedConfig) -> str | None:
        """Tell if transformers has no model of this family for the task."""
        if task.outputs_per == "row":
            return None
        if task.auto_model is None:
            return "no AutoModel of transformers has its outputs"
        if type(config) not in _auto_model(task)._model_mapping:
            return f"{task.auto_model} of transformers has no '{config.model_type}'"
        return None

    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, H] to outputs [n, C]."""
        if self.per == "row" and reads_last_token(self.model.config):
            found: Tensor = self.model.score(features)  # the whole of it looks for padding among the ids
        elif self.per == "row":
            found = self.model(inputs_embeds=features).logits
        elif self.per == "sequence":  # rows of one choice, of one token
            # ModernBERT's mean is one over its mask, and it has none by itself.
            real = torch.ones(len(features), 1, 1, device=features.device, dtype=torch.long)
            found = self.model(inputs_embeds=features[:, None, None], attention_mask=real).logits
        elif self.per == "token":
            found = self.model(inputs_embeds=features).logits[:, 0]
        else:
            both = self.model(inputs_embeds=features)
            found = torch.cat([both.start_logits, both.end_logits], dim=1)
        return found


class _GivenFeatures(nn.Module):
    """A stub where the encoder was. It returns the features that came in as ``inputs_embeds`` [n, H] or [n, 1, H]."""

    def forward(self, *args: Any, inputs_embeds: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        features = inputs_embeds.flatten(0, -2)
        return BaseModelOutputWithPooling(last_hidden_state=features.unsqueeze(1), pooler_output=features)

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


def _auto_model(task: Task) -> Any:
    """Return the class of transformers whose head the task has; of a type that has none, that of classification."""
    return getattr(transformers, task.auto_model or "AutoModelForSequenceClassification")


def _without_encoder(auto_model: Any, config: PreTrainedConfig) -> PreTrainedModel:
    """Build the task's model on the meta device, drop its encoder, then make its head real."""
    device = torch.get_default_device()
    try:
        with torch.device("meta"), building(Allowance.of_machine, "model.head", apart=True):
            model = auto_model.from_config(config)
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
