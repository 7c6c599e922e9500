"""Find, load and build the encoder that all tasks share."""

import copy
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from huggingface_hub import constants
from torch import Tensor
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING, MODEL_MAPPING
from transformers.utils import CONFIG_NAME

from hf_mtl.caches import refuse_cache
from hf_mtl.errors import Mistake, ModelError, UserError, one_line
from hf_mtl.modeling.allowance import Allowance, building
from hf_mtl.modeling.config_values import absurd_values, elsewhere
from hf_mtl.modeling.configuration import build_config
from hf_mtl.modeling.packages import IN_PACKAGE, package_folder
from hf_mtl.modeling.weight_files import WeightFiles
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

Backbone: TypeAlias = str | Path | Mapping[str, Any] | PreTrainedConfig

_KEY = "model.backbone"
_DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")
_OF_WEIGHTS = ("attn_implementation", "_attn_implementation", "quantization_config")
_ALIGNMENT = 64  # bytes; how torch allocates


def resolve_backbone(backbone: str) -> str:
    """Turn ``python:package.name/sub/folder`` into that folder of an installed package; leave the rest alone.

    Raises:
        ModelError: If the package is not installed or has no such folder inside it.
    """
    return str(package_folder(backbone)) if backbone.startswith(IN_PACKAGE) else backbone


def load_encoder_config(backbone: Backbone, **kwargs: Any) -> PreTrainedConfig:
    """Return the config of a backbone; a copy where one was given.

    Args:
        backbone: Hub id, local folder, ``python:package/folder``, inline config with ``model_type``, or a config.
        kwargs: As for `AutoConfig.from_pretrained`.

    Returns:
        A `MultiTaskConfig` where the backbone is a model of hf_mtl, of which the encoder is meant.

    Raises:
        ModelError: If there is no such backbone, or it cannot be read.
    """
    if isinstance(backbone, PreTrainedConfig):
        return copy.deepcopy(backbone)
    if isinstance(backbone, Mapping):
        return _inline_config(backbone)
    if not isinstance(backbone, (str, Path)):
        remedy = "Give a Hub id, a folder (save_pretrained writes one), or a config"
        raise ModelError(Mistake(_KEY, f"is a {type(backbone).__name__}", remedy))
    return _read_config(str(backbone), kwargs)


def _read_config(backbone: str, options: Mapping[str, Any]) -> PreTrainedConfig:
    path = resolve_backbone(backbone)
    # Without an answer of the user's, transformers asks at the terminal whether to run a repository's code.
    options = {"trust_remote_code": False, **options}
    try:
        # Before its class makes lists of the lengths that it names.
        fields, _ = PreTrainedConfig.get_config_dict(path, **options)
        wrong = [*absurd_values(fields), *elsewhere(fields)] if isinstance(fields, dict) else []
        place = f"{backbone}/{CONFIG_NAME}"
        if mistakes := [replace(item, key=_KEY, problem=f"{place}: {item.key}: {item.problem}") for item in wrong]:
            raise ModelError(mistakes)
        config: PreTrainedConfig = AutoConfig.from_pretrained(path, **options)
    except UserError:
        raise
    except Exception as error:  # each class trusts every value, and fails at a wrong one in its own way
        raise ModelError(_cannot_load(backbone, error)) from error
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
    found: torch.dtype | Literal["auto"] = dtype
    return found


def build_encoder(config: PreTrainedConfig, pooler: bool, **kwargs: Any) -> PreTrainedModel:
    """Make an encoder with random weights.

    Args:
        config: The backbone's config.
        pooler: Whether anything reads the output of the encoder's pooler; it is left out otherwise.
        kwargs: As for `AutoModel.from_config`.

    Raises:
        ModelError: If the architecture has no encoder for text, or cannot be built like this.
    """
    encoder_class = _encoder_class(config)
    try:
        with building(Allowance.of_machine, _KEY):
            return encoder_class._from_config(config, **_pooler_option(config, pooler), **kwargs)
    except ModelError:
        raise
    except Exception as error:  # each architecture trusts its config, and fails at a wrong value in its own way
        raise ModelError(Mistake(_KEY, f"cannot build a '{config.model_type}': {one_line(error)}")) from error


def load_encoder(backbone: str | Path, config: PreTrainedConfig, pooler: bool, **kwargs: Any) -> PreTrainedModel:
    """Return an encoder with pretrained weights.

    Args:
        backbone: Hub id, local folder or ``python:package/folder``.
        config: The backbone's config, possibly changed (dropout).
        pooler: Whether anything reads the output of the encoder's pooler.
        kwargs: As for `AutoModel.from_pretrained`.

    Raises:
        ModelError: If the weights cannot be found or read.
    """
    options = {**_pooler_option(config, pooler), **kwargs}
    path = resolve_backbone(str(backbone))
    try:
        with building(WeightFiles(path, kwargs).allowance, _KEY):
            encoder = _encoder_class(config).from_pretrained(path, config=config, **options)
    except UserError as error:
        raise ModelError(replace(item, key=item.key or _KEY) for item in error.mistakes) from error
    except Exception as error:  # the loader of transformers, at files of any kind
        raise ModelError(_cannot_load(str(backbone), error)) from error
    return align_weights(encoder)


def rebuild_encoder(
    weights: Mapping[str, Tensor], config: PreTrainedConfig, pooler: bool, **kwargs: Any
) -> PreTrainedModel:
    """Return an encoder with the weights of another one, which may have had a pooler or none.

    Args:
        weights: The weights, under the names of a plain encoder.
        config: The backbone's config, possibly changed (dropout).
        pooler: Whether anything reads the output of the encoder's pooler; one that was not there is new.
        kwargs: As for `AutoModel.from_pretrained`.
    """
    encoder, info = _encoder_class(config).from_pretrained(
        None,
        config=config,
        state_dict=dict(weights),
        output_loading_info=True,
        **_pooler_option(config, pooler),
        **kwargs,
    )
    if info["missing_keys"]:
        logger.warning(f"{_KEY}: had no {min(info['missing_keys'])}, which is new and begins with random numbers.")
    return align_weights(encoder)


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
        result: type[PreTrainedModel] = MODEL_FOR_TEXT_ENCODING_MAPPING[type(config)]
        return result
    if type(config) in MODEL_MAPPING and not config.is_encoder_decoder:
        found = MODEL_MAPPING[type(config)]
        result = found[0] if isinstance(found, tuple) else found  # Funnel has one without its decoder, too
        return result
    raise ModelError(Mistake(_KEY, f"'{config.model_type}' has no encoder for text in transformers"))


def _pooler_option(config: PreTrainedConfig, pooler: bool) -> dict[str, bool]:
    accepts = "add_pooling_layer" in inspect.signature(_encoder_class(config).__init__).parameters
    return {"add_pooling_layer": pooler} if accepts else {}


def _inline_config(fields: Mapping[str, Any]) -> PreTrainedConfig:
    model_type = fields.get("model_type")
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        problem = f"unknown model_type '{model_type}'" if model_type else "an inline config without model_type"
        remedy = "Write one that transformers knows, such as bert, roberta, distilbert or modernbert"
        raise ModelError(Mistake(f"{_KEY}.model_type", problem, remedy))
    if mistakes := [*absurd_values(fields, _KEY), *_unread_fields(fields, model_type)]:
        raise ModelError(mistakes)
    return build_config(fields, _KEY)


def _unread_fields(fields: Mapping[str, Any], model_type: str) -> Iterator[Mistake]:
    """Find fields that a new encoder would not heed: misspelt ones, and those that say how weights are run."""
    for name in _OF_WEIGHTS:
        if fields.get(name) is not None:
            yield Mistake(f"{_KEY}.{name}", "is not read from an inline config", "Leave it out")
    try:
        known_fields = [*vars(CONFIG_MAPPING[model_type]()), *CONFIG_MAPPING[model_type].attribute_map]
    except Exception:  # a class that cannot be made of nothing; what is wrong with the fields is said elsewhere
        return
    for name in fields:
        near = get_close_matches(str(name), known_fields, n=1, cutoff=0.85)
        if near and near[0] != name and not hasattr(CONFIG_MAPPING[model_type], str(name)):
            yield Mistake(f"{_KEY}.{name}", f"'{model_type}' has no such field", f"Did you mean '{near[0]}'?")


def _cannot_load(backbone: str, error: Exception) -> Mistake:
    refuse_cache(error)
    reason = one_line(error)
    if backbone.startswith(IN_PACKAGE) or Path(backbone).exists():
        tried = "Tried it as a folder"
        remedy = "It needs config.json and weights that transformers can read"
        if checkpoints := sorted(Path(backbone).glob(f"checkpoint-*/{CONFIG_NAME}")):
            remedy += f". It is a run that has not ended; name a checkpoint of it, such as {checkpoints[0].parent}"
    else:
        tried = "Tried it as a local folder, which does not exist, and as a model of the Hugging Face Hub"
        remedy = "Check the spelling and the connection; log in with `hf auth login` for a private model"
        if constants.HF_HUB_OFFLINE:
            tried = "There is no such local folder, and no model of the Hugging Face Hub in the cache"
            remedy = "Unset HF_HUB_OFFLINE to download it"
        remedy += "; or give a local folder, python:package/folder, or an inline config with model_type"
    return Mistake(_KEY, f"cannot load '{backbone}': {reason}", f"{tried}. {remedy}")
