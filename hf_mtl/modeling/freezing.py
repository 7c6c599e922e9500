"""Keep a part of the encoder as it was pretrained: no gradient, no dropout, no update."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from hf_mtl.errors import Mistake, ModelError

Freeze: TypeAlias = Literal["embeddings", "encoder"] | Annotated[int, Field(ge=1)]

_KEY = "model.freeze"
_ALLOWED = "Allowed: embeddings, encoder, or a number of layers from the bottom (the embeddings with them)"


def freeze_mistakes(freeze: str | int | None, config: PreTrainedConfig, adapters: bool) -> list[Mistake]:
    """What is wrong with a choice of frozen parts; empty where nothing is.

    Args:
        freeze: The choice; None: nothing is frozen.
        config: The backbone's config.
        adapters: Whether the encoder has adapters.
    """
    if freeze is None:
        return []
    number = isinstance(freeze, int) and not isinstance(freeze, bool)
    if not number and freeze not in ("embeddings", "encoder"):
        return [Mistake(_KEY, f"found {freeze!r}", _ALLOWED)]
    layers = getattr(config, "num_hidden_layers", 0)
    if number and not 1 <= int(freeze) <= layers:
        return [Mistake(_KEY, f"{freeze} layers", f"The backbone has {layers}; with all of them write encoder")]
    if freeze == "encoder" and adapters:
        return [Mistake(_KEY, "encoder, and model.lora, whose adapters are in it", "Leave one of them out")]
    return []


def frozen_modules(encoder: PreTrainedModel, freeze: str | int | None) -> list[nn.Module]:
    """The modules that a choice freezes.

    Raises:
        ModelError: If the encoder's layers are not known one by one (ALBERT's share their weights).
    """
    if freeze is None:
        return []
    if freeze == "encoder":
        return [encoder]
    name, layers = _layers(encoder)
    count = 0 if freeze == "embeddings" else int(freeze)
    return [*_below(encoder, name), *layers[:count]]


def freeze_parts(encoder: PreTrainedModel, freeze: str | int | None) -> list[nn.Module]:
    """Take the gradient from what a choice freezes, and give the modules, which must stay in eval mode."""
    modules = frozen_modules(encoder, freeze)
    for module in modules:
        module.requires_grad_(False)
    return modules


def _layers(encoder: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    depth = encoder.config.num_hidden_layers
    for name, module in encoder.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return name, module
    problem = f"the layers of '{encoder.config.model_type}' are not known one by one"
    raise ModelError(Mistake(_KEY, problem, "Allowed here: encoder"))


def _below(encoder: PreTrainedModel, stack: str) -> list[nn.Module]:
    """What the lowest layer reads: what is built before the layers, and positions that all of them share."""
    parents = [part for part in (stack.rsplit(".", count)[0] for count in range(stack.count(".") + 1)) if part]
    found = []
    for name, module in encoder.named_modules():
        if name == stack:
            break
        # A module that holds the layers is not itself below them.
        if name and name not in parents:
            found.append(module)
    if encoder.config.model_type.startswith("deberta"):  # relative positions and their norm stand behind the layers
        holder = encoder.get_submodule(stack.rpartition(".")[0])
        found += [module for name, module in holder.named_children() if name in ("rel_embeddings", "LayerNorm")]
    return found
