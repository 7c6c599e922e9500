"""Tokenising: texts to token ids, in batches and through the cache of datasets."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from datasets.utils import tqdm
from transformers import PreTrainedTokenizerBase

from hf_mtl.data.cache import kept_tokens
from hf_mtl.data.check import empty_split
from hf_mtl.data.columns import arrow_column, name_count, name_rows, raise_all
from hf_mtl.data.given_tokens import Lists, check_tokens, read_real_tokens
from hf_mtl.data.text_batches import TextBatch, text_batches
from hf_mtl.data.texts import is_tokenised
from hf_mtl.data.tokens import TokenStore
from hf_mtl.errors import DataError, Mistake
from hf_mtl.tasks import Task

MAX_LENGTH = "model.max_length"
"""The key of the limit of tasks that have none of their own."""

_LONGEST_WITHOUT_A_LIMIT = 512
_LONG_WORK = 20_000


def encode_texts(
    name: str,
    task: Task,
    dataset: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int | None = None,
    split: str = "train",
) -> TokenStore:
    """Turn the texts of a split into token ids.

    Those of a dataset that has files are kept beside the caches of `datasets`, and mapped: a second run finds them,
    and the processes of a machine share the memory. Those of a dataset in memory stay there.

    Args:
        name: The task's name.
        task: The task, resolved.
        dataset: Rows as `load_task` or `prepare_dataset` gives them; with ``input_ids`` and without the text
            columns they are taken as tokenised, and cut to what their ``attention_mask`` calls real.
        tokenizer: Tokenizer of the backbone.
        max_length: Longest row in tokens, where the task has no limit of its own; longer ones are truncated, a pair
            at its longer text, and counted in ``truncated``. None: what the tokenizer's model takes, or 512 where it
            does not say.
        split: The split's name, for mistakes.

    Raises:
        DataError: If there are no rows, ``max_length`` leaves no room for text, or given token ids do not fit the
            tokenizer.
    """
    if not len(dataset):
        raise DataError(empty_split(name, split))
    key = MAX_LENGTH if task.max_length is None else f"tasks.{name}.max_length"
    asked = max_length if task.max_length is None else task.max_length
    check_room(tokenizer, asked, len(task.text_columns), key)
    limit = longest_row(tokenizer, asked)
    takes_types = "token_type_ids" in tokenizer.model_input_names
    if is_tokenised(task, dataset):
        return _take_tokens(name, dataset, tokenizer, limit, takes_types, split)
    texts = dataset.select_columns(list(dict.fromkeys(task.text_columns)))
    cut = _Cut(limit, task.truncation_side or tokenizer.truncation_side)
    made = (tokenizer, task.text_columns, cut.limit, cut.side, takes_types)
    said = f"Tokenising {name} {split}"
    return kept_tokens(texts, made, takes_types, lambda: _batches(texts, task.text_columns, tokenizer, cut, said))


@dataclass(frozen=True)
class _Cut:
    """Say how long a row may be in tokens, and at which end a longer one is cut."""

    limit: int
    side: str


@contextmanager
def cutting_at(tokenizer: PreTrainedTokenizerBase | None, side: str | None) -> Iterator[None]:
    """Have a tokenizer cut at an end, and then at its own again: it belongs to the user, and to the other tasks.

    Args:
        tokenizer: The tokenizer; None: there is none.
        side: ``left`` or ``right``; None: its own.
    """
    if tokenizer is None or side is None:
        yield
        return
    own = tokenizer.truncation_side
    tokenizer.truncation_side = side
    try:
        yield
    finally:
        tokenizer.truncation_side = own


def _batches(
    texts: Dataset, columns: list[str], tokenizer: PreTrainedTokenizerBase, cut: _Cut, said: str
) -> Iterator[TextBatch]:
    """Tokenise, with a progress bar for long work."""
    takes_types = "token_type_ids" in tokenizer.model_input_names
    progress = tqdm(total=len(texts), desc=said, unit=" rows", disable=len(texts) < _LONG_WORK)
    with cutting_at(tokenizer, cut.side), progress as bar:
        arrays = [arrow_column(texts, column) for column in columns]
        for batch in text_batches(arrays, tokenizer, cut.limit, takes_types):
            yield batch
            bar.update(len(batch.lengths))


def longest_row(tokenizer: PreTrainedTokenizerBase, max_length: int | None) -> int:
    """Return the longest row in tokens: as given, or what the tokenizer's model takes, or 512 where it does not
    say.
    """
    if max_length is not None:
        return max_length
    # Tokenizers without a limit report 10^30.
    return tokenizer.model_max_length if tokenizer.model_max_length < 10**6 else _LONGEST_WITHOUT_A_LIMIT


def check_room(tokenizer: PreTrainedTokenizerBase, max_length: int | None, texts: int, key: str = MAX_LENGTH) -> None:
    """Refuse a limit under which a row has no token of one of its texts.

    A tokenizer that is told to cut to fewer tokens than its special ones does not cut at all.

    Args:
        tokenizer: The tokenizer.
        max_length: Longest row in tokens, as for `encode_texts`.
        texts: Texts of a row, 1 or 2.
        key: Recipe key of the limit.

    Raises:
        DataError: If there is no room for the special tokens and a token of each text.
    """
    special = tokenizer.num_special_tokens_to_add(pair=texts == 2)
    limit, least = longest_row(tokenizer, max_length), special + texts
    if limit < least:
        whose = "" if max_length is not None else " (the tokenizer's model_max_length)"
        row = "row" if texts == 1 else "pair"
        found = f"{limit}{whose} leaves no room for text, since {special} tokens of every {row} are special"
        raise DataError(Mistake(key, found, f"Allowed: at least {least}."))


def _store(ids: Lists, types: Lists | None, cut: np.ndarray, takes_types: bool) -> TokenStore:
    typed = takes_types and types is not None and types.values.any()
    flat_types = types.values.astype(np.uint8, copy=False) if typed and types is not None else None
    return TokenStore(ids.values.astype(np.int32, copy=False), ids.offsets, cut, takes_types, flat_types)


def _take_tokens(
    name: str, dataset: Dataset, tokenizer: PreTrainedTokenizerBase, limit: int, takes_types: bool, split: str
) -> TokenStore:
    """Take the token ids that the dataset brings. They cannot be cut here: the closing special token would go."""
    raise_all(check_tokens(name, split, dataset, np.ones(len(dataset), dtype=bool)))
    ids, types = read_real_tokens(dataset)
    key = f"tasks.{name}.text"
    mistakes = []
    long = ids.lengths > limit
    if long.any():
        found = f"{split} has {name_count(int(long.sum()))} of more than {limit} token ids: {name_rows(long)}"
        mistakes.append(
            Mistake(
                key, found, "Truncate when tokenising, or raise a max_length that is below what the encoder takes."
            )
        )
    outside = (ids.values < 0) | (ids.values >= len(tokenizer))
    if outside.any():
        found = f"{split} has {name_count(int(outside.sum()), 'token id')} outside 0..{len(tokenizer) - 1}"
        mistakes.append(Mistake(key, found, "Were they made with another tokenizer?"))
    if types is not None and types.values.any() and not takes_types:
        found = f"{split} has token_type_ids other than 0, which the tokenizer's model does not take"
        mistakes.append(Mistake(key, found, "Were they made with another tokenizer? Remove the column if not."))
    raise_all(mistakes)
    return _store(ids, types, np.zeros(len(dataset), dtype=bool), takes_types)
