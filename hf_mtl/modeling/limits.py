"""Limits to the rows that an encoder can take, read from its tables of embeddings."""

from collections.abc import Iterator, Mapping
from typing import Protocol, cast

from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_mtl.errors import Mistake, ModelError
from hf_mtl.modeling.configuration import MultiTaskConfig

_POSITIONS = ("position_embeddings", "position_embedding", "positions_embed", "embed_positions", "wpe")
_TYPES = ("token_type_embeddings",)


def positions(model: nn.Module) -> int | None:
    """Return the longest row that the encoder's table of positions takes; None without one, as with rotary ones.

    Args:
        model: The encoder, or a model around it.
    """
    return min((_rows_of(model, name, table) for name, table in _tables(model, _POSITIONS)), default=None)


def longest_input(encoder: PreTrainedModel) -> int | None:
    """Return the longest row that an encoder was made for; None: it says nothing.

    That is its table of positions, or without one what its config calls ``max_position_embeddings``.
    """
    declared = getattr(encoder.config, "max_position_embeddings", None)
    most = positions(encoder)
    return most if most is not None or not isinstance(declared, int) or declared < 1 else declared


def first_position(encoder: nn.Module) -> int:
    """Return the row of its table of positions at which an encoder looks the first token up, as its padding tells."""
    padding = [getattr(table, "padding_idx", None) for _, table in _tables(encoder, _POSITIONS)]
    return max((index + 1 for index in padding if index is not None), default=0)


def token_types(model: nn.Module) -> int | None:
    """Tell how many token types an encoder has embeddings for; None where it looks none up."""
    return min((len(table.weight) for _, table in _tables(model, _TYPES)), default=None)


def asked_lengths(config: MultiTaskConfig) -> dict[str, int]:
    """Return the limits that were asked for, by recipe key: the model's, and those of single tasks."""
    own = {f"tasks.{name}.max_length": task.max_length for name, task in config.task_objects.items()}
    return {key: value for key, value in {"model.max_length": config.max_length, **own}.items() if value is not None}


def check_lengths(encoder: PreTrainedModel, asked: Mapping[str, int]) -> None:
    """Refuse limits under which rows may be longer than the encoder.

    Args:
        encoder: The encoder.
        asked: The limits by recipe key.

    Raises:
        ModelError: If any is beyond the encoder's table of positions; all of them at once.
    """
    most = positions(encoder)
    if most is None:
        return
    mistakes = [
        Mistake(key, f"is {length:,}, and the backbone has {most:,} positions", f"Allowed: at most {most}")
        for key, length in asked.items()
        if length > most
    ]
    if mistakes:
        raise ModelError(mistakes)


class _Table(Protocol):
    """A table of embeddings."""

    weight: Tensor


def _tables(model: nn.Module, names: tuple[str, ...]) -> Iterator[tuple[str, _Table]]:
    """Find tables of embeddings by name; those of I-BERT are no `nn.Embedding`."""
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in names and isinstance(getattr(module, "weight", None), Tensor):
            yield name, cast(_Table, module)


def _rows_of(model: nn.Module, name: str, table: _Table) -> int:
    """Return the positions of a table that rows can have: some families leave the first ones to padding."""
    padding = getattr(table, "padding_idx", None)
    # RoBERTa and its relatives count from behind the padding's, OPT and its relatives from a number of their own.
    taken = (0 if padding is None else padding + 1) + getattr(table, "offset", 0)
    # YOSO and its relatives look positions up from the third on, and keep a list of them.
    listed = getattr(model.get_submodule(name.rpartition(".")[0]), "position_ids", None)
    most = len(table.weight) - taken
    return most if listed is None else min(most, listed.shape[-1])
