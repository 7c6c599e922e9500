"""Adapters that all tasks share, on the encoder: part of the model, its config and its checkpoint."""

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from hf_mtl.errors import Mistake, ModelError
from hf_mtl.modeling.peft_kinds import KEY
from hf_mtl.modeling.peft_layers import chosen_layers, ends_in, exactly, warn_of_rank
from hf_mtl.modeling.peft_options import layers_by_peft, peft_config
from hf_mtl.signatures import Options

_BASE = "base_layer"  # what peft calls the layer that an adapter sits on
_OF_ADAPTER = re.compile(r"\.default(\.|$)")  # how peft calls an adapter that has no other name


def add_adapters(encoder: PreTrainedModel, options: Options, key: str = KEY) -> None:
    """Put peft's adapters on an encoder, in place, and freeze everything else in it.

    A new adapter changes nothing, unless its options say that it begins otherwise.

    Source: LoRA, Hu et al., ICLR 2022, arXiv:2106.09685; rsLoRA, Kalajdzievski, arXiv:2312.03732; DoRA, Liu et al.,
    ICML 2024, arXiv:2402.09353; IA3, Liu et al., NeurIPS 2022, arXiv:2205.05638; LoHa and LoKr, Yeh et al., ICLR
    2024, arXiv:2309.14859; HRA, Yuan et al., NeurIPS 2024, arXiv:2405.17484.

    Args:
        encoder: The encoder, without adapters.
        options: What `hf_mtl.modeling.peft_options.parse_peft` has read.
        key: Dotted key of the adapter, for messages.

    Raises:
        ModelError: If a name is no layer's, peft refuses a layer, or there are adapters already.
    """
    if has_adapters(encoder):
        raise ModelError(Mistake(key, "the encoder has adapters already", "Merge them into its weights first"))
    from peft import inject_adapter_in_model

    config = _placed(peft_config(options), options.chosen, encoder, key)
    try:
        inject_adapter_in_model(config, encoder)
    except (ValueError, NotImplementedError) as error:  # in peft's own words
        raise ModelError(Mistake(key, " ".join(str(error).split()))) from error
    freeze_base(encoder)


def has_adapters(encoder: nn.Module) -> bool:
    """Tell whether an encoder has adapters that all tasks share."""
    return any(True for _ in _adapted_layers(encoder))


def adapter_parameters(encoder: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters of an encoder's adapters."""
    for _, layer in _adapted_layers(encoder):
        for name, parameter in layer.named_parameters():
            if not name.startswith(f"{_BASE}."):
                yield parameter


def freeze_base(encoder: nn.Module) -> None:
    """Train the adapters of an encoder and nothing else in it; an encoder without adapters stays as it is."""
    # By their ids, since tied parameters have several names.
    adapters = {id(parameter) for parameter in adapter_parameters(encoder)}
    if adapters:
        for parameter in encoder.parameters():
            parameter.requires_grad_(id(parameter) in adapters)


def check_adapters(missing: set[str], unexpected: set[str], mismatched: Iterable[tuple[Any, ...]] = ()) -> None:
    """Refuse weights whose adapters are not the config's: on other layers, whose own weights are not found, or of
    other sizes, which would start anew.

    Args:
        missing: Weights of the model that its checkpoint lacks.
        unexpected: Weights of the checkpoint that the model lacks.
        mismatched: Weights of other sizes: name, shape in the checkpoint, shape in the model.

    Raises:
        ModelError: If an adapted layer is among them.
    """
    remedy = "Load it with the peft that it was saved with; `from_backbone` puts new adapters on an encoder"
    for keys, problem in ((missing, "the checkpoint has no adapter"), (unexpected, "the checkpoint has an adapter")):
        layers = sorted(key.partition(f".{_BASE}.")[0] for key in keys if f".{_BASE}." in key)
        if layers:
            raise ModelError(Mistake(KEY, f"{problem} on {layers[0]}, unlike the config", remedy))
    for name, found, wanted in sorted(mismatched, key=lambda item: str(item[0])):
        if name.startswith("encoder.") and _OF_ADAPTER.search(name):
            sizes = f"{name} has the shape {list(found)}, and {list(wanted)} by the config"
            raise ModelError(Mistake(KEY, sizes, remedy))


@torch.no_grad()
def merged_weights(encoder: nn.Module) -> dict[str, Tensor]:
    """Return the encoder's weights, adapters merged into them, under the names of an encoder without adapters."""
    weights = dict(encoder.state_dict())
    for name, layer in _adapted_layers(encoder):
        weights = {key: value for key, value in weights.items() if not key.startswith(f"{name}.")}
        merged = _merged(copy.deepcopy(layer))
        weights |= {f"{name}.{key}": value for key, value in merged.state_dict().items()}
    return weights


@torch.no_grad()
def merge_adapters(encoder: nn.Module) -> None:
    """Put the layers back that adapters sit on, with these merged into their weights; they are trained again."""
    for name, layer in list(_adapted_layers(encoder)):
        parent, _, child = name.rpartition(".")
        setattr(encoder.get_submodule(parent), child, _merged(layer))
    encoder.requires_grad_(True)


def _merged(layer: "_Adapted") -> nn.Module:
    layer.merge()
    return layer.get_base_layer()


def _placed(config: Any, kind: str, encoder: PreTrainedModel, key: str) -> Any:
    """Return a config of peft that names its layers in full, and whose weights lie as those of the layers do."""
    layers = chosen_layers(encoder, config, key)
    if kind in ("lora", "loha"):
        warn_of_rank(encoder, layers, config.r, key)
    changes: dict[str, Any] = {"target_modules": exactly(layers), "exclude_modules": None}
    if kind == "ia3":
        changes["feedforward_modules"] = _feedforward(config.feedforward_modules, layers, encoder, key)
    if any(field.name == "fan_in_fan_out" for field in fields(config)):
        changes["fan_in_fan_out"] = any(isinstance(encoder.get_submodule(name), Conv1D) for name in layers)
    if hasattr(config, "layers_to_transform"):
        changes |= {"layers_to_transform": None, "layers_pattern": None}
    for name, value in changes.items():
        setattr(config, name, value)
    return config


def _feedforward(wanted: Any, layers: list[str], encoder: PreTrainedModel, key: str) -> str | list[str]:
    """Return which of the layers have their inputs scaled, in place of their outputs."""
    place = f"{key}.feedforward_modules"
    if wanted is None:
        known_here = layers_by_peft("ia3", encoder.config.model_type)
        if not known_here:
            problem = f"missing, and peft knows none of '{encoder.config.model_type}'"
            raise ModelError(
                Mistake(place, problem, "Name those of target_modules in the feed-forward blocks, or []")
            )
        wanted = known_here["feedforward_modules"]
        found = [name for name in layers if any(f".{name}".endswith(f".{end}") for end in wanted)]
    elif isinstance(wanted, str):
        found = [name for name in layers if re.fullmatch(wanted, name)]
    else:
        found = [name for name in ends_in(encoder, sorted(wanted), place) if name in layers]
    return exactly(found) or []


class _Adapted(Protocol):
    """A layer with adapters, as peft has them."""

    def merge(self) -> None:
        """Put the adapters into the layer's weights."""

    def get_base_layer(self) -> nn.Module:
        """Return the layer that the adapters sit on."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the parameters of layer and adapters."""


def _adapted_layers(encoder: nn.Module) -> Iterator[tuple[str, _Adapted]]:
    for name, module in encoder.named_modules():
        if hasattr(module, _BASE):
            yield name, cast(_Adapted, module)


def adapter_types(encoder: nn.Module) -> Mapping[str, str]:
    """Return the type of the adapter on each adapted layer, with ``dora`` where LoRA scales whole weights."""
    found = {}
    for name, layer in _adapted_layers(encoder):
        kind = type(layer).__module__.split(".")[-2]  # peft.tuners.lora.layer
        found[name] = "dora" if kind == "lora" and len(getattr(layer, "lora_magnitude_vector", ())) else kind
    return found
