"""Predicted tags as entities, or as tagged words, with their places in the text."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.data.tag_schemes import Tags
from hf_mtl.data.words import Words
from hf_mtl.evaluation.outputs import probabilities

_PLACE = [("word", pa.string()), ("start", pa.int64()), ("end", pa.int64())]


def named_tags(outputs: np.ndarray, predicted: np.ndarray, tags: Tags, words: Words) -> list[list[dict[str, Any]]]:
    """Name the entities of each row; of plain tags each word's.

    An entity's ``score`` is the mean over its words of the probabilities of their tags. ``start`` and ``end`` count
    the characters of the text; of a list of words, of these with a blank between two.

    Args:
        outputs: Logits of the words [n, W, C], as wide as the row with the most words that the encoder reads.
        predicted: The tags of the words, `NO_CLASS` where there is no output, int64 [n, W].
        tags: The tags.
        words: The words of the rows.
    """
    scores = _scores(outputs, predicted)
    starts, ends = tags.entities(predicted) if tags.types else (predicted != NO_CLASS,) * 2
    texts = words.texts.to_pylist()
    found: list[list[dict[str, Any]]] = [[] for _ in range(len(words))]
    for row, first, last in _pieces(starts, ends):
        tag = int(predicted[row, first])
        named = {"entity": tags.types[tags.type_ids[tag]]} if tags.types else {"tag": tags.names[tag]}
        score = float(scores[row, first : last + 1].mean())
        found[row].append({**named, "score": score, **_place(texts[row], words, row, first, last)})
    return found


def tag_columns(found: list[list[dict[str, Any]]], tags: Tags) -> dict[str, pa.Array]:
    """Give the entities of each row, or the tags of its words, as a column of lists.

    Args:
        found: What `named_tags` gives.
        tags: The tags.
    """
    key, column = ("entity", "entities") if tags.types else ("tag", "tags")
    kind = pa.list_(pa.struct([(key, pa.string()), ("score", pa.float64()), *_PLACE]))
    return {column: pa.array(found, kind)}


def word_columns(outputs: np.ndarray, predicted: np.ndarray, tags: Tags, words: Words) -> dict[str, pa.Array]:
    """Give the words of each row that have an output, and of each tag the list of their probabilities.

    Args:
        outputs: As for `named_tags`.
        predicted: As for `named_tags`.
        tags: The tags.
        words: The words of the rows.
    """
    texts, there = words.texts.to_pylist(), predicted != NO_CLASS
    places = [np.flatnonzero(row).tolist() for row in there]
    named = [[_place(texts[row], words, row, at, at) for at in mine] for row, mine in enumerate(places)]
    shares = _softmax(outputs)
    columns = {"words": pa.array(named, pa.list_(pa.struct(_PLACE)))}
    for number, tag in enumerate(tags.names):
        lists = [shares[row, mine, number].tolist() for row, mine in enumerate(places)]
        columns[f"p.{tag}"] = pa.array(lists, pa.list_(pa.float64()))
    return columns


def _softmax(outputs: np.ndarray) -> np.ndarray:
    flat = outputs.reshape(-1, outputs.shape[-1])
    return probabilities(flat).reshape(outputs.shape) if len(flat) else outputs.astype(np.float64)


def _scores(outputs: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the probability of each word's predicted tag, [n, W]."""
    places = np.where(predicted == NO_CLASS, 0, predicted)
    found: np.ndarray = np.take_along_axis(_softmax(outputs), places[..., None], axis=-1)[..., 0]
    return found


def _pieces(starts: np.ndarray, ends: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Give the row, the first and the last word of each entity, row by row."""
    rows, firsts = np.nonzero(starts)
    _, lasts = np.nonzero(ends)  # one for each beginning, in the same order
    yield from zip(rows.tolist(), firsts.tolist(), lasts.tolist(), strict=True)


def _place(text: str, words: Words, row: int, first: int, last: int) -> dict[str, Any]:
    base = int(words.offsets[row])
    start, end = int(words.starts[base + first]), int(words.ends[base + last])
    return {"word": text[start:end], "start": start, "end": end}
