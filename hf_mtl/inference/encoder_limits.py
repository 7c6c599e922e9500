"""Rows are compared with what the encoder can take, before the first of them is encoded."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hf_mtl.data.columns import name_count
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.errors import Mistake, ModelError
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.limits import longest_input, positions, token_types
from hf_mtl.tasks import Task

_TOKENIZER = "model.tokenizer"
_OWN = "Use the backbone's own tokenizer, or"


def row_limit(model: MultiTaskModel, tokenizer: Any) -> int | None:
    """Return what rows of tasks without a limit of their own are cut to: as asked for, else what the encoder takes.

    Args:
        model: The model.
        tokenizer: The tokenizer; None: rows come as tokens.

    Returns:
        None where the tokenizer says less than the encoder, or the encoder says nothing: the tokenizer's limit rules.
    """
    asked, most = model.config.max_length, longest_input(model.encoder)
    if asked is not None or most is None or not isinstance(tokenizer, PreTrainedTokenizerBase):
        found: int | None = asked
        return found
    return most if tokenizer.model_max_length > most else None


def padding_id(model: MultiTaskModel, tokenizer: Any) -> int:
    """Return the token id of padding, which attention never sees: the tokenizer's, else the encoder's, else 0."""
    found = getattr(tokenizer, "pad_token_id", None)
    if found is not None:
        return int(found)
    own = getattr(model.config.encoder_config, "pad_token_id", None)
    # Some configs say -1 where there is none.
    return own if isinstance(own, int) and 0 <= own < _vocabulary(model) else 0


def check_token_ids(
    model: MultiTaskModel,
    encoded: Mapping[str, EncodedSplit],
    tokenizer: Any,
    tasks: Mapping[str, Task] | None = None,
) -> None:
    """Refuse rows that the encoder has no embeddings for, which would fail in the middle of a step.

    Args:
        model: The model.
        encoded: A split of every task.
        tokenizer: The tokenizer; None: rows come as tokens.
        tasks: The tasks as the rows were encoded for them; None: the model's.

    Raises:
        ModelError: If a row is longer than the table of positions, a token id, a token type or the tokenizer's
            padding is beyond its table, or the encoder takes a token of the rows for padding.
    """
    mistakes = list(_padding_mistakes(model, tokenizer))
    for name, split in encoded.items():
        own = (tasks or model.tasks)[name].max_length is not None
        mistakes += _row_mistakes(model, name, split, f"tasks.{name}.max_length" if own else "model.max_length")
        mistakes += _mistaken_padding(model, name, split, tokenizer)
    if mistakes:
        raise ModelError(mistakes)


def _row_mistakes(model: MultiTaskModel, name: str, split: EncodedSplit, limit: str) -> Iterator[Mistake]:
    tokens = split.tokens
    longest, most = int(tokens.lengths.max(initial=0)), positions(model.encoder)
    if most is not None and longest > most:
        found = f"leaves a row of '{name}' with {longest:,} tokens, and the backbone has {most:,} positions"
        yield Mistake(limit, found, f"Allowed: at most {most}")
    largest, table = int(tokens.flat_ids.max(initial=0)), _vocabulary(model)
    if largest >= table:
        found = f"gives the token id {largest} to a row of '{name}', and the backbone has {table} embeddings"
        yield Mistake(_TOKENIZER, found, f"{_OWN} a larger vocab_size in an inline config")
    kinds, types = token_types(model.encoder), tokens.flat_type_ids
    if kinds is not None and types is not None and int(types.max(initial=0)) >= kinds:
        found = (
            f"gives the token type {types.max()} to a row of '{name}', and those of the backbone end at {kinds - 1}"
        )
        yield Mistake(_TOKENIZER, found, f"{_OWN} a larger type_vocab_size in an inline config")


def _padding_mistakes(model: MultiTaskModel, tokenizer: Any) -> Iterator[Mistake]:
    padding, table = padding_id(model, tokenizer), _vocabulary(model)
    if not 0 <= padding < table:
        found = f"pads with the token id {padding}, and the backbone has {table} embeddings"
        yield Mistake(_TOKENIZER, found, f"{_OWN} call model.resize_token_embeddings in Python")


def _mistaken_padding(model: MultiTaskModel, name: str, split: EncodedSplit, tokenizer: Any) -> Iterator[Mistake]:
    """Tokens that the encoder leaves out of its positions, or does not learn, as it takes them for padding."""
    padding = getattr(model.get_input_embeddings(), "padding_idx", None)
    theirs = getattr(tokenizer, "pad_token_id", None)
    if padding is None or theirs is None or padding == theirs:
        return
    count = int(np.count_nonzero(split.tokens.flat_ids == padding))
    if count:
        found = (
            f"pads with the token id {theirs}, and the backbone with {padding}, which is that of "
            f"{name_count(count, 'token')} of '{name}': it would not learn them"
        )
        yield Mistake(_TOKENIZER, found, f"{_OWN} pad_token_id: {theirs} in an inline config")


def _vocabulary(model: MultiTaskModel) -> int:
    weight = model.get_input_embeddings().weight
    assert isinstance(weight, Tensor)
    return len(weight)
