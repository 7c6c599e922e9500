"""Signs in token ids that the tokenizer does not fit: texts that it does not know, padding read as text."""

from typing import Any

import numpy as np

from hf_mtl.data.columns import name_count, name_rows
from hf_mtl.data.tokens import TokenStore
from hf_mtl.errors import Mistake

# How SentencePiece and byte-level tokenizers write a space: one before every unknown word would halve the share.
_SPACES = ("▁", "Ġ")
_ROWS = 100_000  # that are looked at together
_ENDS = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")


def unknown_share(tokens: TokenStore, tokenizer: Any) -> float:
    """Return the share of the texts that the tokenizer does not know, in [0, 1].

    That is its unknown tokens among all that are neither special nor a mere space. A row that has no others at all
    counts as one unknown token: some tokenizers leave out what they do not know.

    Args:
        tokens: The rows.
        tokenizer: Their tokenizer.
    """
    unknown, spaces = unknown_id(tokenizer), tokenizer.convert_tokens_to_ids(list(_SPACES))
    no_text = [*tokenizer.all_special_ids, *(found for found in spaces if found is not None)]
    # A table by id: to look ids up in a list takes many times as long.
    is_text = np.ones(1 + max([len(tokenizer), *no_text, int(tokens.flat_ids.max(initial=0))]), dtype=bool)
    is_text[no_text] = False
    if unknown is not None:
        is_text[unknown] = True
    unknowns = nothing = total = 0
    for start in range(0, len(tokens), _ROWS):
        offsets = tokens.offsets[start : start + _ROWS + 1]
        ids = tokens.flat_ids[offsets[0] : offsets[-1]]
        ends = np.concatenate([[0], np.cumsum(is_text[ids])])[offsets - offsets[0]]
        nothing += int((np.diff(ends) == 0).sum())
        total += int(ends[-1])
        unknowns += 0 if unknown is None else int((ids == unknown).sum())
    return (unknowns + nothing) / (total + nothing) if total + nothing else 0.0


def unknown_id(tokenizer: Any) -> int | None:
    """Return the id of what the tokenizer does not know; None: it has none, or one that means something else too."""
    found: int | None = getattr(tokenizer, "unk_token_id", None)
    return None if found in [getattr(tokenizer, name, None) for name in _ENDS] else found


def empty_rows(name: str, split: str, tokens: TokenStore) -> list[Mistake]:
    """List the mistake of rows of which the tokenizer leaves nothing, since there is nothing to encode.

    Args:
        name: The task's name.
        split: The split's name.
        tokens: Its rows.
    """
    empty = tokens.lengths == 0
    if not empty.any():
        return []
    found = f"{split} has {name_count(int(empty.sum()))} without tokens: {name_rows(empty)}"
    remedy = "Remove these rows, give them a text that the tokenizer knows, or have it add special tokens."
    return [Mistake(f"tasks.{name}.text", found, remedy)]


def padded_rows(tokens: TokenStore, tokenizer: Any) -> int:
    """Count the rows that begin or end in the padding token, which nothing else ends in.

    Args:
        tokens: Rows, none of them empty.
        tokenizer: Their tokenizer.
    """
    pad = getattr(tokenizer, "pad_token_id", None)
    if pad is None or pad in [getattr(tokenizer, name, None) for name in (*_ENDS, "unk_token_id")]:
        return 0
    first, last = tokens.flat_ids[tokens.offsets[:-1]], tokens.flat_ids[tokens.offsets[1:] - 1]
    return int(((first == pad) | (last == pad)).sum())
