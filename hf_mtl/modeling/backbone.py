"""Find, load and build the encoder that all tasks share."""

import copy
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from huggingface_hub import constants
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING, MODEL_MAPPING

from hf_mtl.errors import Mistake, ModelError
from hf_mtl.modeling.configuration import MultiTaskConfig, refuse_kernels
from hf_mtl.modeling.packages import IN_PACKAGE, package_folder

Backbone: TypeAlias = str | Path | Mapping[str, Any] | PreTrainedConfig

_KEY = "model.backbone"
_DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")
_ALIGNMENT = 64  # bytes; how torch allocates
_LOAD_ERRORS = (OSError, ValueError, SafetensorError, StrictDataclassError)


def resolve_backbone(backbone: str) -> str:
    """Turn ``python:package.name/sub/folder`` into that folder of an installed package; leave the rest alone.

    Raises:
        ModelError: If the package is not installed or has no such folder inside it.
    """
    return str(package_folder(backbone)) if backbone.startswith(IN_PACKAGE) else backbone


def load_encoder_config(backbone: Backbone, **kwargs: Any) -> PreTrainedConfig:
    """The config of a backbone; a copy where one was given.

    Args:
        backbone: Hub id, local folder, ``python:package/folder``, inline config with ``model_type``, or a config.
        kwargs: As for `AutoConfig.from_pretrained`.

    Raises:
        ModelError: If there is no such backbone, it cannot be read, or it is no backbone but a `MultiTaskModel`.
    """
    if isinstance(backbone, PreTrainedConfig):
        return copy.deepcopy(backbone)
    if isinstance(backbone, Mapping):
        return _inline_config(backbone)
    # False, not None: with None transformers asks on the terminal whether to run the backbone's own code.
    options = {"trust_remote_code": False, **kwargs}
    try:
        config = AutoConfig.from_pretrained(resolve_backbone(str(backbone)), **options)
    except _LOAD_ERRORS as error:
        raise ModelError(_cannot_load(str(backbone), error)) from error
    refuse_kernels(config, f"the config of '{backbone}'")
    if isinstance(config, MultiTaskConfig):
        remedy = (
            "To train it on, give MultiTaskModel.from_pretrained to the Trainer. For other tasks, save its encoder "
            "(model.encoder.save_pretrained) and its tokenizer to a folder, and give that"
        )
        raise ModelError(Mistake(_KEY, f"'{backbone}' is a model of hf_mtl, with heads", remedy))
    return config


def read_dtype(options: dict[str, Any]) -> torch.dtype | Literal["auto"]:
    """Take ``dtype``, or ``torch_dtype`` as it was once called, out of some options; float32 where there is none.

    Raises:
        ModelError: If it is not a precision that a model can have.
    """
    older = options.pop("torch_dtype", torch.float32)
    given = options.pop("dtype", older)
    dtype = getattr(torch, given, None) if isinstance(given, str) and given != "auto" else given
    if dtype != "auto" and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ModelError(Mistake("dtype", f"found {given!r}", f"Allowed: {', '.join(_DTYPES)}, or a torch.dtype"))
    return dtype


def build_encoder(config: PreTrainedConfig, pooler: bool, **kwargs: Any) -> PreTrainedModel:
    """An encoder with random weights.

    Args:
        config: The backbone's config.
        pooler: Whether anything reads the output of the encoder's pooler; it is left out otherwise.
        kwargs: As for `AutoModel.from_config`.

    Raises:
        ModelError: If the architecture has no encoder for text, or cannot be built like this.
    """
    encoder_class = _encoder_class(config)
    try:
        return encoder_class._from_config(config, **_pooler_option(config, pooler), **kwargs)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(Mistake(_KEY, f"cannot build a '{config.model_type}': {_one_line(error)}")) from error


def load_encoder(backbone: str | Path, config: PreTrainedConfig, pooler: bool, **kwargs: Any) -> PreTrainedModel:
    """An encoder with pretrained weights.

    Args:
        backbone: Hub id, local folder or ``python:package/folder``.
        config: The backbone's config, possibly changed (dropout).
        pooler: Whether anything reads the output of the encoder's pooler.
        kwargs: As for `AutoModel.from_pretrained`.

    Raises:
        ModelError: If the weights cannot be found or read.
    """
    options = {**_pooler_option(config, pooler), **kwargs}
    try:
        encoder = _encoder_class(config).from_pretrained(resolve_backbone(str(backbone)), config=config, **options)
        return align_weights(encoder)
    except _LOAD_ERRORS as error:
        raise ModelError(_cannot_load(str(backbone), error)) from error


def align_weights(model: PreTrainedModel) -> PreTrainedModel:
    """Move weights that were read from a file to aligned memory, on CPU.

    They keep the file's alignment otherwise, and matrix products then differ in the last bit from those of the model
    that was saved.
    """
    for parameter in model.parameters():
        if parameter.device.type == "cpu" and parameter.data_ptr() % _ALIGNMENT:
            parameter.data = parameter.data.clone()
    return model


def _encoder_class(config: PreTrainedConfig) -> type[PreTrainedModel]:
    # The text encoding mapping knows the encoder half of T5 and its kin.
    if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING:
        return MODEL_FOR_TEXT_ENCODING_MAPPING[type(config)]
    if type(config) in MODEL_MAPPING and not config.is_encoder_decoder:
        return MODEL_MAPPING[type(config)]
    raise ModelError(Mistake(_KEY, f"'{config.model_type}' has no encoder for text in transformers"))


def _pooler_option(config: PreTrainedConfig, pooler: bool) -> dict[str, bool]:
    accepts = "add_pooling_layer" in inspect.signature(_encoder_class(config).__init__).parameters
    return {"add_pooling_layer": pooler} if accepts else {}


def _inline_config(fields: Mapping[str, Any]) -> PreTrainedConfig:
    model_type = fields.get("model_type")
    if model_type not in CONFIG_MAPPING:
        problem = f"unknown model_type '{model_type}'" if model_type else "an inline config without model_type"
        remedy = "Write one that transformers knows, such as bert, roberta, distilbert or modernbert"
        raise ModelError(Mistake(f"{_KEY}.model_type", problem, remedy))
    try:
        return CONFIG_MAPPING[model_type](**copy.deepcopy(dict(fields)))
    except (TypeError, ValueError, StrictDataclassError) as error:
        raise ModelError(Mistake(_KEY, f"not a '{model_type}' config: {_one_line(error)}")) from error


def _cannot_load(backbone: str, error: Exception) -> Mistake:
    reason = _one_line(error)
    if backbone.startswith(IN_PACKAGE) or Path(backbone).exists():
        tried = "Tried it as a folder"
        remedy = "It needs config.json and weights that transformers can read"
    else:
        tried = "Tried it as a local folder, which does not exist, and as a model of the Hugging Face Hub"
        remedy = "Check the spelling and the connection; log in with `hf auth login` for a private model"
        if constants.HF_HUB_OFFLINE:
            tried = "There is no such local folder, and no model of the Hugging Face Hub in the cache"
            remedy = "Unset HF_HUB_OFFLINE to download it"
        remedy += "; or give a local folder, python:package/folder, or an inline config with model_type"
    return Mistake(_KEY, f"cannot load '{backbone}': {reason}", f"{tried}. {remedy}")


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(". ")[0].rstrip(".")
