"""Low-rank adapters (LoRA) on the encoder: part of the model, its config and its checkpoint."""

import importlib.util
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Protocol, TypeAlias, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.pytorch_utils import Conv1D

from hf_mtl.errors import Mistake, ModelError, known
from hf_mtl.options import parse_options
from hf_mtl.plain import describe
from hf_mtl.signatures import Options, model_from_signature

LoraSpec: TypeAlias = bool | Mapping[str, Any]

_KEY = "model.lora"
_BASE = "base_layer"  # what peft calls the layer that an adapter sits on


def add_lora(
    encoder: PreTrainedModel,
    *,
    rank: Annotated[int, Field(ge=1)] = 8,
    alpha: Annotated[float, Field(gt=0)] = 16,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    target_modules: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)] = "all-linear",
    rslora: bool = False,
) -> None:
    """Put low-rank adapters on an encoder, in place, and freeze everything else in it.

    A layer's output gets ``scale * B A x`` added, with A [rank, in] drawn as in peft and B [out, rank] zero, so that
    a new adapter changes nothing.

    Source: Hu et al., ICLR 2022, arXiv:2106.09685; rsLoRA: Kalajdzievski, arXiv:2312.03732.

    Args:
        encoder: The encoder, without adapters.
        rank: Rank of what an adapter adds to its layer's weight.
        alpha: The scale is ``alpha / rank``.
        dropout: Probability of dropout on an adapter's input.
        target_modules: ``all-linear``: every linear layer but the pooler's; or the ends of the layers' names, such
            as ``[query, value]``. The pooler is adapted only where a name says ``pooler``.
        rslora: Whether the scale is ``alpha / sqrt(rank)`` instead.

    Raises:
        ModelError: If an option is out of range, a name is no layer's, peft is absent, or there are adapters already.
    """
    options: dict[str, Any] = {"rank": rank, "alpha": alpha, "dropout": dropout, "target_modules": target_modules}
    if mistakes := lora_mistakes({**options, "rslora": rslora}):
        raise ModelError(mistakes)
    if any(hasattr(module, _BASE) for module in encoder.modules()):
        raise ModelError(Mistake(_KEY, "the encoder has adapters already", "Merge them into its weights first"))
    from peft import LoraConfig, inject_adapter_in_model

    layers = _targets(encoder, target_modules)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        use_rslora=rslora,
        target_modules="|".join(re.escape(name) for name in layers),  # exact: names in a list would be endings
        fan_in_fan_out=any(isinstance(encoder.get_submodule(name), Conv1D) for name in layers),
    )
    inject_adapter_in_model(config, encoder)
    freeze_base(encoder)


@cache
def lora_section() -> type[Options]:
    """Return the model of ``model.lora``: the options of `add_lora`."""
    return model_from_signature(add_lora, exclude=("encoder",))


def parse_lora(spec: LoraSpec | None, mistakes: list[Mistake]) -> Options | None:
    """Read LoRA as a recipe or Python gives it; None: no adapters, or not valid.

    Args:
        spec: The options, True for the defaults; None or False: no adapters.
        mistakes: Receives everything that is wrong.
    """
    if spec is None or spec is False:
        return None
    if spec is not True and not isinstance(spec, Mapping):
        mistakes.append(Mistake(_KEY, f"found {describe(spec)}", "Allowed: true or false or a mapping."))
        return None
    return parse_options(lora_section(), {} if spec is True else spec, mistakes, _KEY)


def lora_mistakes(spec: LoraSpec | None) -> list[Mistake]:
    """Find what keeps a model from having adapters: its options, and whether peft is installed.

    Args:
        spec: The options, True for the defaults; None or False: no adapters.
    """
    mistakes: list[Mistake] = []
    if parse_lora(spec, mistakes) is not None and importlib.util.find_spec("peft") is None:
        mistakes.append(Mistake(_KEY, "needs peft, which is not installed", 'Run `pip install "hf_mtl[lora]"`'))
    return mistakes


def lora_options(spec: LoraSpec | None) -> dict[str, Any] | None:
    """Return all options of `add_lora` with their values, from options without mistakes; None: no adapters."""
    choice = parse_lora(spec, [])
    return None if choice is None else choice.settled()


def freeze_base(encoder: nn.Module) -> None:
    """Train the adapters of an encoder and nothing else in it; an encoder without adapters stays as it is."""
    # By their ids, since tied parameters have several names.
    adapters = {id(parameter) for _, parameter in _adapters(encoder)}
    if adapters:
        for parameter in encoder.parameters():
            parameter.requires_grad_(id(parameter) in adapters)


def reset_adapters(encoder: nn.Module) -> None:
    """Draw A and clear B of the adapters that were not in a checkpoint; transformers marks those that were."""
    for name, parameter in _adapters(encoder):
        if name.startswith("lora_A."):
            init.kaiming_uniform_(parameter, a=math.sqrt(5))
        else:
            init.zeros_(parameter)


def check_adapters(missing: set[str], unexpected: set[str]) -> None:
    """Refuse weights whose adapters sit on other layers than the config's: the layers' own weights are not found.

    Args:
        missing: Weights of the model that its checkpoint lacks.
        unexpected: Weights of the checkpoint that the model lacks.

    Raises:
        ModelError: If an adapted layer is among them.
    """
    for keys, problem in ((missing, "the checkpoint has no adapter"), (unexpected, "the checkpoint has an adapter")):
        layers = sorted(key.partition(f".{_BASE}.")[0] for key in keys if f".{_BASE}." in key)
        if layers:
            remedy = "Load it with the lora that it was saved with; `from_backbone` puts new adapters on an encoder"
            raise ModelError(Mistake(_KEY, f"{problem} on {layers[0]}, unlike the config", remedy))


@torch.no_grad()
def merged_weights(encoder: nn.Module) -> dict[str, Tensor]:
    """Return the encoder's weights, adapters added to them, under the names of an encoder without adapters."""
    weights = dict(encoder.state_dict())
    for name, layer in _adapted_layers(encoder):
        base = weights[f"{name}.{_BASE}.weight"]
        weights[f"{name}.{_BASE}.weight"] = base + sum(layer.get_delta_weight(key) for key in layer.active_adapters)
        for adapter, _ in _of_adapters(layer):
            del weights[f"{name}.{adapter}"]
    return {key.replace(f".{_BASE}.", "."): value for key, value in weights.items()}


def _targets(encoder: nn.Module, wanted: str | list[str]) -> list[str]:
    """Return the full names of the layers to adapt."""
    layers = [name for name, module in encoder.named_modules() if isinstance(module, (nn.Linear, Conv1D))]
    body = [name for name in layers if "pooler" not in name.split(".")]
    if isinstance(wanted, str):
        return body
    found: dict[str, list[str]] = {}
    for end in wanted:
        among = layers if "pooler" in end.split(".") else body
        found[end] = [name for name in among if f".{name}".endswith(f".{end}")]
    ends = {name[name.find("pooler") :] if name not in body else name.split(".")[-1] for name in layers}
    mistakes = [
        Mistake(f"{_KEY}.target_modules", f"no linear layer's name ends in '{end}'", known(ends, end))
        for end, names in found.items()
        if not names
    ]
    if mistakes:
        raise ModelError(mistakes)
    return sorted({name for names in found.values() for name in names})


class _Adapted(Protocol):
    """A layer with adapters, as peft has them."""

    active_adapters: list[str]

    def get_delta_weight(self, adapter: str) -> Tensor:
        """Compute what an adapter adds to the layer's weight."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the parameters of layer and adapters."""


def _adapted_layers(encoder: nn.Module) -> Iterator[tuple[str, _Adapted]]:
    for name, module in encoder.named_modules():
        if hasattr(module, "lora_A"):
            yield name, cast(_Adapted, module)


def _adapters(encoder: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the adapters' parameters, with their names in their layer, such as ``lora_A.default.weight``."""
    for _, layer in _adapted_layers(encoder):
        yield from _of_adapters(layer)


def _of_adapters(layer: _Adapted) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, parameter) for name, parameter in layer.named_parameters() if not name.startswith(f"{_BASE}."))
