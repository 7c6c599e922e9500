"""Rows with a tag for each word, as the encoder reads them and as the loss counts them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.columns import name_count
from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.data.tag_schemes import Tags
from hf_mtl.data.word_tags import by_row
from hf_mtl.data.word_tokens import WordTokens
from hf_mtl.data.words import Words
from hf_mtl.tasks.layout import RowSites


def lay_out_words(words: Words, found: WordTokens, labels: np.ndarray | None) -> tuple[RowSites, np.ndarray | None]:
    """Look at the first piece of each word; without a piece a word has no output, and no part in the loss.

    Args:
        words: The words.
        found: Their tokens.
        labels: Tags of the words [n, W].
    """
    pieces = found.pieces[:, found.firsts]
    places = pieces[2] - words.offsets[:-1][words.rows[pieces[2]]]
    sites = _sites(found, pieces, places)
    if labels is None:
        return sites, None
    there = np.zeros(len(words.starts), dtype=bool)
    there[pieces[2]] = True
    return sites, np.where(_table(there, words, labels) == 1, labels, NO_CLASS).astype(labels.dtype)


def lay_out_pieces(
    words: Words, found: WordTokens, labels: np.ndarray, tags: Tags
) -> tuple[RowSites, NDArray[np.int16]]:
    """Look at every piece of each word: the first has the word's tag, and those of B-X go on with I-X.

    Args:
        words: The words.
        found: Their tokens.
        labels: Tags of the words [n, W].
        tags: The task's tags.
    """
    sequence, _, word = found.pieces
    row = words.rows[word]
    given = labels[row, word - words.offsets[:-1][row]].astype(np.int64)
    further = np.where(given == NO_CLASS, NO_CLASS, tags.inside[np.maximum(given, 0)])
    counts = np.bincount(sequence, minlength=len(found.tokens))  # a row that is cut is one sequence
    table = by_row(np.where(found.firsts, given, further), row, counts, int(counts.max(initial=1)))
    return _sites(found, found.pieces, None), table.astype(np.int16)


def cut_notes(
    name: str, split: str, words: Words, found: WordTokens, labels: np.ndarray | None, tags: Tags
) -> Iterator[str]:
    """Say what is lost of rows that are cut, which rows have windows, and which words no piece.

    Args:
        name: The task's name.
        split: The split's name.
        words: The words.
        found: Their tokens.
        labels: Tags of the words [n, W]; None: they are not known.
        tags: The task's tags.
    """
    if found.lost.any() and labels is not None:
        lost, known = _table(found.lost, words, labels) == 1, labels != NO_CLASS
        text = f"{name}: {int((lost & known).sum()):,} of {name_count(int(known.sum()), 'labelled word')} of {split}"
        starts = tags.entities(labels.astype(np.int64))[0]
        if starts.any():
            # Numbered as they begin; an entity of which any word is cut off is lost.
            number = np.cumsum(starts).reshape(starts.shape)
            inside = (labels != NO_CLASS) & (tags.roles[np.maximum(labels, 0)] > 0)
            gone = len(np.unique(number[inside & lost]))
            text += f" and {gone:,} of {name_count(int(starts.sum()), 'entity').replace('entitys', 'entities')}"
        yield f"{text} are lost with what is cut off."
    counts = np.diff(found.starts)
    long = int((counts > 1).sum())
    if long:
        most = int(found.tokens.lengths.max())
        yield (
            f"{name}: {name_count(long)} of {split} longer than {most} tokens became "
            f"{int(counts[counts > 1].sum()):,} windows, which share half of their tokens."
        )
    silent = int(found.silent.sum())
    if silent:
        yield (
            f"{name}: the tokenizer has no piece for {name_count(silent, 'word')} of {split}, such as "
            f"{_first_silent(words, found)!r}: no loss counts them, and they count as predicted O."
        )


def _sites(found: WordTokens, pieces: NDArray[np.int64], places: NDArray[np.int64] | None) -> RowSites:
    counts = np.bincount(pieces[0], minlength=len(found.tokens))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    numbered = None if places is None else places.astype(np.int32)
    return RowSites("token", found.starts, pieces[1].astype(np.int32), offsets, numbered)


def _table(values: NDArray[np.bool_], words: Words, labels: np.ndarray) -> NDArray[np.int64]:
    # As wide as the labels: these were made of more rows than are left, one of which may have had the most words.
    return by_row(values.astype(np.int64), words.rows, words.counts, labels.shape[1])


def _first_silent(words: Words, found: WordTokens) -> str:
    word = int(np.flatnonzero(found.silent)[0])
    text: str = words.texts[int(words.rows[word])].as_py()
    return text[words.starts[word] : words.ends[word]]
