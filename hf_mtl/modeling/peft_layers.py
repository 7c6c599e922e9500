"""The layers of an encoder that adapters sit on, by the names that a recipe gives."""

import copy
import re
from collections.abc import Sequence
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from hf_mtl.errors import Mistake, ModelError, known
from hf_mtl.shown import get_logger

logger = get_logger(__name__)


def linear_layers(encoder: nn.Module) -> list[str]:
    """Return the names of an encoder's linear layers, in their order."""
    return [name for name, module in encoder.named_modules() if isinstance(module, (nn.Linear, Conv1D))]


def chosen_layers(encoder: nn.Module, config: Any, key: str) -> list[str]:
    """Return the full names of the layers to adapt. The pooler is adapted only where a name says ``pooler``.

    Args:
        encoder: The encoder, without adapters.
        config: A config of peft, whose ``target_modules`` is ``all-linear``, an expression for whole names, or a list
            of the ends of names; None: ``all-linear``.
        key: Dotted key of the adapter, for messages.

    Raises:
        ModelError: If a name is no layer's, or no layer is left.
    """
    from peft.tuners.tuners_utils import check_target_module_exists

    wanted = config.target_modules
    asked = copy.copy(config)
    if wanted is None or isinstance(wanted, str):
        names = _by_expression(encoder, wanted, key)
        asked.target_modules = set(names)
    else:
        names = ends_in(encoder, sorted(wanted), f"{key}.target_modules")
    found = [name for name in names if check_target_module_exists(asked, name)]  # some may be excluded
    if not found:
        remedy = "Leave exclude_modules or layers_to_transform out, or name other layers"
        raise ModelError(Mistake(key, "no layer is left to put an adapter on", remedy))
    return found


def warn_of_rank(encoder: nn.Module, layers: Sequence[str], rank: int, key: str) -> None:
    """Warn of a rank that no layer's weights can have, which trains more than the layers themselves would.

    Args:
        encoder: The encoder, without adapters.
        layers: The layers to adapt.
        rank: The rank of the adapters.
        key: Dotted key of the adapter, for the message.
    """
    most = max(min(_sizes(encoder.get_submodule(name))) for name in layers)
    if rank > most:
        logger.warning_once(
            f"{key}.r: {rank} is more than {most}, the highest rank that weights of the adapted layers can have: the "
            "rest costs memory and time, and adds nothing."
        )


def _sizes(layer: Any) -> tuple[int, int]:
    """Return how many numbers a layer reads and makes; by its weights that may be packed nobody could tell."""
    if isinstance(layer, Conv1D):
        return layer.nx, layer.nf
    return layer.in_features, layer.out_features


def ends_in(encoder: nn.Module, ends: Sequence[str], key: str) -> list[str]:
    """Return the full names of the linear layers whose names end in one of some words.

    Raises:
        ModelError: If no layer's name ends so.
    """
    layers = linear_layers(encoder)
    body = [name for name in layers if not _of_pooler(name)]
    found = {end: _ending(layers if "pooler" in end.split(".") else body, end) for end in ends}
    there = {name.split(".")[-1] if name in body else name[name.find("pooler") :] for name in layers}
    mistakes = [
        Mistake(key, f"no linear layer's name ends in '{end}'", known(there, end))
        for end, names in found.items()
        if not names
    ]
    if mistakes:
        raise ModelError(mistakes)
    chosen = {name for names in found.values() for name in names}
    return [name for name in layers if name in chosen]


def exactly(names: Sequence[str]) -> str:
    """Return an expression that matches these names alone: in a list they would be the ends of others too."""
    return "|".join(re.escape(name) for name in names)


def _by_expression(encoder: nn.Module, wanted: str | None, key: str) -> list[str]:
    layers = linear_layers(encoder)
    if wanted in (None, "all-linear"):
        return [name for name in layers if not _of_pooler(name)]
    try:
        found = [name for name in layers if re.fullmatch(str(wanted), name)]
    except re.error as error:
        raise ModelError(Mistake(f"{key}.target_modules", f"'{wanted}' is no regular expression: {error}")) from error
    if not found:
        problem = f"no linear layer's whole name matches the expression '{wanted}'"
        remedy = f"Give a list of the ends of names, such as [{', '.join(_examples(layers))}], or all-linear"
        raise ModelError(Mistake(f"{key}.target_modules", problem, remedy))
    return found


def _ending(layers: Sequence[str], end: str) -> list[str]:
    return [name for name in layers if f".{name}".endswith(f".{end}")]


def _examples(layers: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name.split(".")[-1] for name in layers if not _of_pooler(name)))[:2]


def _of_pooler(name: str) -> bool:
    return "pooler" in name.split(".")
