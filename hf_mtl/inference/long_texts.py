"""Texts that are longer than a model reads, as overlapping windows whose outputs are averaged before the decision."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from hf_mtl.data.columns import arrow_column
from hf_mtl.data.text_batches import TextBatch, gather_batches
from hf_mtl.data.tokenize import longest_row
from hf_mtl.data.tokens import EncodedSplit, TokenStore
from hf_mtl.errors import Mistake, ModelError
from hf_mtl.tasks import Task
from hf_mtl.tasks.layout import RowSites, spans

_MOST_SHARED = 128


def check_windows(tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse windows of a tokenizer that cannot cut them.

    Raises:
        ModelError: If it is written in Python.
    """
    if not tokenizer.is_fast:
        found = f"chunk, and the slow {type(tokenizer).__name__} does not give what it cuts off"
        raise ModelError(Mistake("--long", found, "Use cut, or a fast tokenizer (use_fast=True)"))


def in_windows(
    split: EncodedSplit, task: Task, rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int | None
) -> EncodedSplit:
    """Read rows that were cut as windows that share a quarter of their tokens, 128 at most.

    Of a pair the longer text is read in windows, each beside the whole of the other. Where that leaves no room, the
    row stays cut.

    Args:
        split: Rows of one sequence each.
        task: Their task.
        rows: Their texts.
        tokenizer: A fast tokenizer.
        max_length: Longest sequence in tokens, where the task has no limit of its own.

    Returns:
        The same rows; where some have several sequences, with an output for each of them.
    """
    long = np.flatnonzero(split.tokens.cut)
    limit = longest_row(tokenizer, task.max_length or max_length)
    texts = [arrow_column(rows, column).take(long).to_pylist() for column in task.text_columns]
    windows = {
        row: found
        for row, parts in zip(long.tolist(), zip(*texts, strict=True), strict=True)
        if len(found := _windows(parts, tokenizer, limit)) > 1
    }
    if not windows:
        return split
    counts = np.ones(len(split), dtype=np.int64)
    counts[list(windows)] = [len(found) for found in windows.values()]
    starts = np.concatenate([[0], np.cumsum(counts)])
    tokens = _replaced(split.tokens, windows, starts)
    return replace(split, tokens=tokens, sites=RowSites("sequence", starts))


def averaged(values: np.ndarray, counts: NDArray[np.int64]) -> np.ndarray:
    """Average what was made of the windows of each row.

    Args:
        values: Outputs [n, S, C].
        counts: Windows of each row, [n].
    """
    there = np.arange(values.shape[1]) < counts[:, None]
    found: np.ndarray = np.where(there[..., None], values, 0).sum(axis=1) / counts[:, None]
    return found.astype(values.dtype)


def _windows(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, limit: int) -> list[Any]:
    """Cut one row, a text or a pair, into the encodings of its windows; none where there is no room for them."""
    room = limit - tokenizer.num_special_tokens_to_add(pair=len(texts) == 2)
    which = "longest_first"
    if len(texts) == 2:
        counts = [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]
        which = "only_first" if counts[0] > counts[1] else "only_second"
        room -= min(counts)
    shared = min(_MOST_SHARED, room // 4)
    if room < 1:
        return []
    encoded = tokenizer(
        *([text] for text in texts),
        truncation=which,
        max_length=limit,
        stride=shared,
        return_overflowing_tokens=True,
        verbose=False,
    )
    return list(encoded.encodings or ())


def _replaced(tokens: TokenStore, windows: dict[int, list[Any]], starts: NDArray[np.int64]) -> TokenStore:
    """Put windows in the place of rows that were cut."""
    made = [encoding for found in windows.values() for encoding in found]
    lengths = np.array([len(encoding) for encoding in made], dtype=np.int64)
    ids = np.concatenate([np.array(encoding.ids, dtype=np.int32) for encoding in made])
    kinds = np.concatenate([np.array(encoding.type_ids, dtype=np.uint8) for encoding in made])
    made_of = TextBatch(ids, kinds if tokens.takes_type_ids else None, lengths, np.zeros(len(made), dtype=bool))
    # The rows, and then the windows: of each place its sequence among these.
    both = gather_batches([_as_batch(tokens), made_of], tokens.takes_type_ids)
    source = np.empty(int(starts[-1]), dtype=np.int64)
    source[starts[:-1]] = np.arange(len(tokens))
    source[spans(starts, np.array(list(windows)))] = len(tokens) + np.arange(len(made))
    return both.select(source)


def _as_batch(tokens: TokenStore) -> TextBatch:
    types = tokens.flat_type_ids
    if types is None and tokens.takes_type_ids:
        types = np.zeros(len(tokens.flat_ids), dtype=np.uint8)
    return TextBatch(tokens.flat_ids, types, tokens.lengths.astype(np.int64), tokens.cut)
