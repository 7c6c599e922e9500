"""Keep a part of the encoder as it was pretrained: no gradient, no dropout, no update."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from hf_mtl.errors import Mistake, ModelError
from hf_mtl.modeling.adapters import adapter_parameters

Freeze: TypeAlias = Literal["embeddings", "encoder"] | Annotated[int, Field(ge=1)]

_KEY = "model.freeze"


def freeze_mistakes(freeze: str | int | None, config: PreTrainedConfig | None, adapters: bool) -> list[Mistake]:
    """Return what is wrong with a choice of frozen parts; empty where nothing is.

    Args:
        freeze: The choice; None: nothing is frozen.
        config: The backbone's config, to ask how many layers there are; None: not asked.
        adapters: Whether the encoder has adapters.
    """
    if freeze is None:
        return []
    number = isinstance(freeze, int) and not isinstance(freeze, bool)
    if not number and freeze not in ("embeddings", "encoder"):
        remedy = "Allowed: embeddings, encoder, or a number of layers from the bottom (the embeddings with them)"
        return [Mistake(_KEY, f"found {freeze!r}", remedy)]
    if number and config is not None and not 1 <= int(freeze) <= config.num_hidden_layers:
        found = f"found {freeze}, and the backbone has {config.num_hidden_layers} layers"
        return [Mistake(_KEY, found, "Allowed: from 1 to as many as there are, embeddings, or encoder")]
    if freeze == "encoder" and adapters:
        return [Mistake(_KEY, "encoder, and model.peft, whose adapters are in it", "Leave one of them out")]
    return []


def freeze_parts(encoder: PreTrainedModel, freeze: str | int | None) -> list[nn.Module]:
    """Take gradient and dropout from a part of an encoder, in place.

    Adapters in frozen layers are frozen too, and stay zero. T5 has one dropout for its embeddings and its output,
    which stays on.

    Args:
        encoder: The encoder.
        freeze: The part: ``embeddings`` (with positions and whatever else comes before the layers), a number of
            layers from the bottom and the embeddings, or ``encoder`` (with its pooler); None: nothing.

    Returns:
        The frozen modules, which are to stay in eval mode.

    Raises:
        ModelError: If the encoder's layers are not known one by one (ALBERT's share their weights).
    """
    modules = _chosen(encoder, freeze)
    for module in modules:
        module.requires_grad_(False).eval()
    return modules


def lower_parameters(encoder: PreTrainedModel, freeze: str | int) -> list[nn.Parameter]:
    """Return the parameters of a part of an encoder, as `freeze_parts` names it.

    Raises:
        ModelError: If the encoder's layers are not known one by one.
    """
    return [parameter for module in _chosen(encoder, freeze) for parameter in module.parameters()]


def upper_parameters(encoder: PreTrainedModel, scope: Literal["last_layer", "adapters"]) -> list[nn.Parameter]:
    """Return the parameters of the encoder's last layer, or of its adapters; those that are trained.

    Raises:
        ModelError: If the layers are not known one by one, or there are no adapters.
    """
    if scope == "adapters":
        found = list(adapter_parameters(encoder))
        if not found:
            raise ModelError(Mistake("balancing", "'adapters', and the model has none", "Add model.peft"))
    else:
        found = list(_stack(encoder)[-1].parameters())
    return [parameter for parameter in found if parameter.requires_grad]


def _stack(encoder: PreTrainedModel) -> nn.ModuleList:
    """Return the encoder's layers, lowest first."""
    depth = encoder.config.num_hidden_layers
    lists = [module for module in encoder.modules() if isinstance(module, nn.ModuleList) and len(module) == depth]
    if len(lists) != 1:
        problem = f"the layers of '{encoder.config.model_type}' are not known one by one"
        raise ModelError(Mistake("balancing", f"'last_layer', and {problem}", "Use scope: all"))
    return lists[0]


def _chosen(encoder: PreTrainedModel, freeze: str | int | None) -> list[nn.Module]:
    if freeze is None:
        return []
    if freeze == "encoder":
        return [encoder]
    # The outermost list of modules comes first.
    name = next((name for name, module in encoder.named_modules() if isinstance(module, nn.ModuleList)), None)
    if name is None:
        raise _not_known(encoder, "encoder")
    if freeze == "embeddings":
        return _below(encoder, name)
    return [*_below(encoder, name), *_lowest(encoder, name, int(freeze))]


def _below(encoder: PreTrainedModel, stack: str) -> list[nn.Module]:
    """Return the modules that the lowest layer reads: those built before the layers, and the positions of all."""
    found: list[nn.Module] = []
    holder: nn.Module = encoder
    for part in stack.split("."):
        children = dict(holder.named_children())
        found += list(children.values())[: list(children).index(part)]
        holder = children[part]
    # Relative positions are kept behind the layers (DeBERTa), or in the first of them (T5).
    found += [module for module in encoder.modules() if isinstance(module, nn.Embedding)]
    return found + _beside(encoder, stack, "LayerNorm")  # of DeBERTa's relative positions


def _lowest(encoder: PreTrainedModel, stack: str, count: int) -> list[nn.Module]:
    """Return the first layers of a stack."""
    holder, depth = encoder.get_submodule(stack.rpartition(".")[0]), encoder.config.num_hidden_layers
    lists = [module for module in holder.children() if isinstance(module, nn.ModuleList)]
    # XLM keeps the parts of its layers in several lists.
    if len(lists) != 1 or len(lists[0]) != depth:
        raise _not_known(encoder, "embeddings, encoder")
    return [*lists[0][:count], *_beside(encoder, stack, "conv")]  # DeBERTa's, which belongs to its first layer


def _beside(encoder: PreTrainedModel, stack: str, name: str) -> list[nn.Module]:
    """Return a module that DeBERTa keeps beside its layers; none where there is none."""
    module = getattr(encoder.get_submodule(stack.rpartition(".")[0]), name, None)
    return [module] if encoder.config.model_type.startswith("deberta") and module is not None else []


def _not_known(encoder: PreTrainedModel, allowed: str) -> ModelError:
    problem = f"the layers of '{encoder.config.model_type}' are not known one by one"
    return ModelError(Mistake(_KEY, problem, f"Allowed here: {allowed}"))
