"""Taggers without an encoder: the most frequent tag, and a linear model on the letters of words."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.data.words import word_lists
from hf_mtl.evaluation.tags import ABSENT

_EDGE = "\0"  # in place of the word before the first and behind the last


def majority_tags(labels: np.ndarray, texts: Sequence[Any], tags: int) -> np.ndarray:
    """Predict the shares of the tags for every word, log-probabilities [m, W, C].

    Args:
        labels: Tags of the training rows [n, W].
        texts: Texts, or lists of words, of m rows.
        tags: Number of tags C.
    """
    return _spread(np.tile(tag_shares(labels, tags), (sum(_counts(texts)), 1)), _counts(texts))


def tag_shares(labels: np.ndarray, tags: int) -> np.ndarray:
    """Return the log shares of the tags among the words of training rows [C].

    Args:
        labels: Tags of the training rows [n, W].
        tags: Number of tags C.
    """
    counts = np.bincount(labels[labels != NO_CLASS], minlength=tags)
    found: np.ndarray = np.log(np.maximum(counts / max(1, counts.sum()), 1e-12))
    return found


def linear_tags(train_texts: Sequence[Any], labels: np.ndarray, texts: Sequence[Any], tags: int) -> np.ndarray:
    """Fit a logistic regression (scikit-learn's `SGDClassifier`) to words, and predict others [m, W, C].

    It sees a word, its ends, its shape, and the words beside it.

    Args:
        train_texts: Texts, or lists of words, of the training rows.
        labels: Their tags [n, W].
        texts: Texts, or lists of words, of m rows.
        tags: Number of tags C.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import SGDClassifier

    counts = np.array(_counts(train_texts))
    given = labels[np.arange(labels.shape[1]) < counts[:, None]]
    known = given != NO_CLASS
    if len(np.unique(given[known])) < 2:
        return majority_tags(labels, texts, tags)
    vectorizer = CountVectorizer(analyzer=list, binary=True, dtype=np.float32)
    features = vectorizer.fit_transform(_features(train_texts))
    model = SGDClassifier(loss="log_loss", alpha=1e-6, max_iter=20, tol=1e-3, random_state=0)
    with warnings.catch_warnings():
        # Twenty passes are enough for a baseline; more gain little.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features[known], given[known])
    outputs = np.full((sum(_counts(texts)), tags), np.log(1e-12))
    if len(outputs):
        shares = model.predict_proba(vectorizer.transform(_features(texts)))
        outputs[:, model.classes_] = np.log(np.maximum(shares, 1e-12))
    return _spread(outputs, _counts(texts))


def _counts(texts: Sequence[Any]) -> list[int]:
    return [len(words) for words in word_lists(list(texts))]


def _spread(outputs: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Put the outputs of words, row by row, where they belong, [m, W, C]."""
    wide = np.full((len(counts), max(1, *counts, 1), outputs.shape[1]), ABSENT, dtype=np.float32)
    wide[np.arange(wide.shape[1]) < np.array(counts)[:, None]] = outputs
    return wide


def _features(texts: Sequence[Any]) -> Iterator[list[str]]:
    """Give the features of one word after another."""
    for words in word_lists(list(texts)):
        lower = [_EDGE, _EDGE, *(word.lower() for word in words), _EDGE, _EDGE]
        shapes = [_EDGE, *map(_shape, words), _EDGE]
        for place, word in enumerate(words):
            here = lower[place + 2]
            yield [
                f"w {here}",
                f"p3 {here[:3]}",
                f"s3 {here[-3:]}",
                f"s2 {here[-2:]}",
                f"f {shapes[place + 1]}",
                f"t {word.istitle()} {place == 0}",
                f"-1 {lower[place + 1]}",
                f"+1 {lower[place + 3]}",
                f"-2 {lower[place]}",
                f"+2 {lower[place + 4]}",
                f"-f {shapes[place]}",
                f"+f {shapes[place + 2]}",
            ]


def _shape(word: str) -> str:
    """Return the kinds of a word's characters, without repetition: ``Xx`` for London, ``X.X.`` for U.S."""
    kinds = ["X" if c.isupper() else "x" if c.isalpha() else "0" if c.isdigit() else c for c in word]
    return "".join(kind for place, kind in enumerate(kinds) if place == 0 or kinds[place - 1] != kind)
