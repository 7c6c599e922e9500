"""Answers without an encoder: none, the beginning of each context, or the words nearest to those of the question."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_mtl.data.answers import spans_of, without_answer

_WORD = re.compile(r"\S+")
_LETTERS = re.compile(r"\w+")
_NEVER = -1e9
"""Log-probability of what a baseline never says: finite, as all outputs are."""

Pairs = Sequence[Sequence[str]]


def constant_answers(train: Pairs, labels: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Say what is said most of the training rows: no answer, or else the first words of the context, as many as half
    of the answers have.

    Args:
        train: Question and context of each training row.
        labels: Where their answers stand, [n, G, 2].
        pairs: Question and context of m rows.

    Returns:
        For each row [2, 2]: first character and end, and the log-probabilities of that span and of no answer.
    """
    share = float(without_answer(labels).mean())
    length = _usual_length(train, labels)
    found = np.zeros((len(pairs), 2, 2))
    for row, (_, context) in enumerate(pairs):
        words = [match.span() for match in _WORD.finditer(context)]
        found[row, 0] = words[0][0], words[min(length, len(words)) - 1][1]
    found[:, 1] = _log(1 - share), _log(share)
    return found


def nearest_answers(train: Pairs, labels: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Answer with the words of the context that have those of the question nearest to them.

    The words of the question are weighed by their inverse document frequency in the contexts of the training rows,
    and by one over the distance. The answer has as many words as half of the training answers, none of them in the
    question. The share of the question's weight that the context has stands for the probability that it answers.

    Source: the sliding window with distances of Richardson et al., EMNLP 2013, which SQuAD's paper has as a baseline.

    Args:
        train: As there.
        labels: As there.
        pairs: As there.

    Returns:
        As there.
    """
    weights, length = _Weights.of([context for _, context in train]), _usual_length(train, labels)
    return np.stack([_nearest(question, context, weights, length) for question, context in pairs])


@dataclass(frozen=True)
class _Weights:
    """Inverse document frequencies of words."""

    counts: dict[str, int]
    texts: int

    @classmethod
    def of(cls, texts: Sequence[str]) -> "_Weights":
        counts: dict[str, int] = {}
        for text in texts:
            for word in set(_LETTERS.findall(text.lower())):
                counts[word] = counts.get(word, 0) + 1
        return cls(counts, len(texts))

    def __call__(self, word: str) -> float:
        # As scikit-learn's TfidfVectorizer has it.
        return math.log((1 + self.texts) / (1 + self.counts.get(word, 0))) + 1


def _nearest(question: str, context: str, weights: _Weights, length: int) -> np.ndarray:
    asked = set(_LETTERS.findall(question.lower()))
    spans = [match.span() for match in _WORD.finditer(context)]
    words = [set(_LETTERS.findall(context[start:end].lower())) for start, end in spans]
    length = min(length, len(words))
    hits = np.array([max((weights(word) for word in asked & found), default=0.0) for found in words])
    places, starts = np.arange(len(words)), np.arange(len(words) - length + 1)
    ahead, behind = places - (starts[:, None] + length - 1), starts[:, None] - places
    distance = np.maximum(np.maximum(ahead, behind), 1)
    # What follows the words of the question comes before what stands ahead of them.
    scores = (hits * np.where(behind > 0, 1.0, 0.9) / distance).sum(axis=1)
    inside = np.convolve(hits > 0, np.ones(length), mode="valid") > 0
    best = int(np.argmax(np.where(inside, -1.0, scores)))
    total = sum(map(weights, asked))
    there = set().union(*words) & asked
    share = sum(map(weights, there)) / total if total else 0.0
    ends = spans[best][0], spans[best + length - 1][1]
    return np.array([ends, (_log(share), _log(1 - share))])


def _usual_length(train: Pairs, labels: np.ndarray) -> int:
    """Return the words that half of the training answers have at most, 1 or more."""
    found = [
        len(_WORD.findall(context[slice(*spans[0])]))
        for (_, context), row in zip(train, labels, strict=True)
        if (spans := spans_of(row))
    ]
    return max(1, int(np.median(found))) if found else 1


def _log(share: float) -> float:
    return math.log(share) if share > 0 else _NEVER
