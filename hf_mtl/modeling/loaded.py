"""What a checkpoint gave a model, compared with what the model is made of."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from hf_mtl.errors import Mistake, ModelError
from hf_mtl.modeling.lora import check_adapters

_SHOWN = 3


def check_weights(info: Mapping[str, Any], source: object) -> None:
    """Refuse a checkpoint that lacks a weight or a statistic of the model, or has one that the model lacks.

    The loader of transformers fills in random numbers for what is missing and drops what it does not know; either way
    the outputs would be those of another model. Sizes that the user told it to ignore are left to it.

    Args:
        info: ``missing_keys`` and ``unexpected_keys`` as the loader reports them.
        source: Where the weights came from, for the message.

    Raises:
        ModelError: If there are such weights; says how many of which part, and names the first.
    """
    check_adapters(info["missing_keys"], info["unexpected_keys"])
    mistakes = []
    if missing := info["missing_keys"]:
        remedy = "Load it with the config that it was saved with; `from_backbone` puts new heads on an encoder"
        mistakes.append(Mistake("", f"{source}: weights of the model are missing: {_summary(missing)}", remedy))
    if unexpected := info["unexpected_keys"]:
        remedy = "The file is another model's, or its names were changed"
        mistakes.append(Mistake("", f"{source}: has weights that the model lacks: {_summary(unexpected)}", remedy))
    if mistakes:
        raise ModelError(mistakes)


def _summary(keys: Collection[str]) -> str:
    """How many weights of which part, as ``4 of heads.topic, 20 of encoder, the first is encoder.norm.bias``."""
    parts = Counter(_part(key) for key in sorted(keys))
    counts = [f"{count} of {part}" for part, count in sorted(parts.items())]
    rest = len(counts) - _SHOWN
    shown = ", ".join(counts[:_SHOWN]) + (f" and {rest} more parts" if rest > 0 else "")
    return f"{shown}, the first is {min(keys)}"


def _part(key: str) -> str:
    """The head that a weight belongs to, or the module at the top."""
    return ".".join(key.split(".")[: 3 if key.startswith("heads.") else 1])
