"""Comparison of the weights that a checkpoint has with those that the model needs."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pickle import UnpicklingError
from typing import Any

from huggingface_hub.errors import HTTPError
from safetensors import SafetensorError

from hf_mtl.caches import refuse_cache
from hf_mtl.errors import Mistake, ModelError, UserError, one_line
from hf_mtl.modeling.adapters import check_adapters
from hf_mtl.modeling.allowance import building
from hf_mtl.modeling.configuration import placed
from hf_mtl.modeling.weight_files import WeightFiles

_SHOWN = 3


# What the loader of transformers raises at files that it cannot use, and at sizes of which nothing can be made.
_OF_FILES = (
    OSError,
    RuntimeError,
    ArithmeticError,
    ValueError,
    EOFError,
    ImportError,
    SafetensorError,
    UnpicklingError,
    HTTPError,
)


@contextmanager
def loading(path: object, options: Mapping[str, Any]) -> Iterator[WeightFiles]:
    """Load a model, with one message for whatever is wrong with its files.

    Args:
        path: Folder or Hub id; None: weights in hand.
        options: Arguments of `from_pretrained`.

    Yields:
        Its safetensors files; the model can be no larger.

    Raises:
        UserError: If a file is missing or damaged.
    """
    try:
        files = WeightFiles(None if path is None else str(path), options)
        try:
            with building(files.allowance, ""):
                yield files
        except (KeyError, TypeError, AttributeError):
            files.read()  # says so if it is an index of the Hub that the loader failed at
            raise
    except UserError as error:
        if path is None:
            raise
        raise type(error)(placed(item, str(path)) for item in error.mistakes) from error
    except _OF_FILES as error:
        refuse_cache(error)
        problem = f"{path}: the model cannot be loaded: {one_line(error)}"
        raise ModelError(Mistake("", problem, "Copy it again, or load another checkpoint")) from error


def check_weights(info: Mapping[str, Any], source: object, other_sizes: bool = True) -> None:
    """Refuse a checkpoint that lacks a weight or a statistic of the model, or has one that the model lacks.

    The loader of transformers fills in random numbers for what is missing and drops what it does not know; either way
    the outputs would be those of another model. Sizes that the user told it to ignore are left to it.

    Args:
        info: ``missing_keys``, ``unexpected_keys`` and ``mismatched_keys`` as the loader reports them.
        source: Where the weights came from, for the message.
        other_sizes: Whether weights of other sizes than the model's may be there; they are drawn anew.

    Raises:
        ModelError: If there are such weights; says how many of which part, and names the first.
    """
    check_adapters(info["missing_keys"], info["unexpected_keys"], info.get("mismatched_keys", ()))
    mistakes = []
    if missing := info["missing_keys"]:
        remedy = "Load it with the config that it was saved with; `from_backbone` puts new heads on an encoder"
        mistakes.append(Mistake("", f"{source}: weights of the model are missing: {_summary(missing)}", remedy))
    if unexpected := info["unexpected_keys"]:
        remedy = "The file is another model's, or its names were changed"
        mistakes.append(Mistake("", f"{source}: has weights that the model lacks: {_summary(unexpected)}", remedy))
    if not other_sizes and (mismatched := info["mismatched_keys"]):
        name, found, wanted = min(mismatched)
        sizes = f"{name} has the shape {list(found)}, and {list(wanted)} by the config"
        more = f", and {len(mismatched) - 1} more differ" if len(mismatched) > 1 else ""
        remedy = "Load it with the config that it was saved with, or give ignore_mismatched_sizes=True"
        mistakes.append(Mistake("", f"{source}: weights of other sizes: {sizes}{more}", remedy))
    if mistakes:
        raise ModelError(mistakes)


def _summary(keys: Collection[str]) -> str:
    """Tell how many weights of which part, as ``4 of heads.topic, 20 of encoder, the first is encoder.norm.bias``."""
    parts = Counter(_part(key) for key in sorted(keys))
    counts = [f"{count} of {part}" for part, count in sorted(parts.items())]
    rest = len(counts) - _SHOWN
    shown = ", ".join(counts[:_SHOWN]) + (f" and {rest} more parts" if rest > 0 else "")
    return f"{shown}, the first is {min(keys)}"


def _part(key: str) -> str:
    """Return the head that a weight belongs to, or the module at the top."""
    return ".".join(key.split(".")[: 3 if key.startswith("heads.") else 1])
