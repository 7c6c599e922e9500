"""Exact match and F1 of extracted answers, as SQuAD defines them."""

import math
import re
import string
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np

from hf_mtl.evaluation.metrics.base import LocalMetric

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Return a text in lower case, without punctuation of ASCII, English articles, and blanks that tell nothing."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split())


def exact_match(text: str, answer: str) -> float:
    """Return 1 if two texts are the same once normalised, else 0."""
    return float(normalised(text) == normalised(answer))


def word_f1(text: str, answer: str) -> float:
    """Return the F1 of the words of two texts once normalised; where one has none, whether both have none."""
    found, expected = normalised(text).split(), normalised(answer).split()
    if not found or not expected:
        return float(found == expected)
    same = sum((Counter(found) & Counter(expected)).values())
    return 2 * same / (len(found) + len(expected))


class _AnswerMetric(LocalMetric):
    """A mean over rows of the best score of a predicted answer against any of the row's answers.

    Args:
        apart: Whether rows with and without answers have a mean of their own beside that of all.

    Shape:
        predictions: texts, empty for no answer; references: lists of texts, empty for no answer.
    """

    greater_is_better = True
    outputs = "spans"

    def __init__(self, apart: bool = False):
        super().__init__()
        self.apart = apart

    def _features(self) -> datasets.Features:
        texts = datasets.Value("string")
        return datasets.Features({"predictions": texts, "references": datasets.Sequence(texts)})

    def _compute(self, *, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
        scores = self.each(predictions, references)
        weights = np.ones(len(scores)) if self.weights is None else self.weights
        found = {self.key: float(np.average(scores, weights=weights))}
        if self.apart:
            some = np.array([bool(answers) for answers in references])
            for name, rows in (("has_answer", some), ("no_answer", ~some)):
                there = rows.any()
                found[f"{self.key}_{name}"] = (
                    float(np.average(scores[rows], weights=weights[rows])) if there else math.nan
                )
        return found

    @classmethod
    def each(cls, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Any:
        """Return the score of each row, float64 [n]."""
        pairs = zip(predictions, references, strict=True)
        return np.array([cls.row(text, answers) for text, answers in pairs], dtype=np.float64)

    @classmethod
    def row(cls, text: str, answers: Sequence[str]) -> float:
        """Return the score of a row: the best one against any of its answers that has a word."""
        # As SQuAD 2 does; a row without such an answer wants none.
        worded = [answer for answer in answers if normalised(answer)] or [""]
        return max(cls.pair(text, answer) for answer in worded)

    @staticmethod
    @abstractmethod
    def pair(text: str, answer: str) -> float:
        """Return the score of a text against one answer."""


class SquadExactMatch(_AnswerMetric):
    """Share of rows whose predicted answer is one of theirs, but for case, ASCII punctuation, articles and blanks.

    A row without answers is right where none is predicted.

    Args:
        apart: Whether rows with and without answers have a share of their own beside that of all; NaN where there are
            no such rows.

    Source: Rajpurkar et al., EMNLP 2016, arXiv:1606.05250; of unanswerable questions, ACL 2018, arXiv:1806.03822.

    Example:
        >>> SquadExactMatch().compute(predictions=["The Nile.", "in 1912"], references=[["Nile"], ["1912"]])
        {'squad_exact_match': 0.5}
    """

    key = "squad_exact_match"
    pair = staticmethod(exact_match)


class SquadF1(_AnswerMetric):
    """Mean over rows of the F1 of the predicted answer's words against the best of the row's answers, in [0, 1].

    Words are compared without case, ASCII punctuation and articles. A row without answers counts 1 where none is
    predicted, else 0.

    Args:
        apart: Whether rows with and without answers have a mean of their own beside that of all; NaN where there are
            no such rows.

    Source: Rajpurkar et al., EMNLP 2016, arXiv:1606.05250; of unanswerable questions, ACL 2018, arXiv:1806.03822.

    Example:
        >>> SquadF1().compute(predictions=["the Blue Nile", ""], references=[["Nile", "White Nile"], []])
        {'squad_f1': 0.8333333333333333}
    """

    key = "squad_f1"
    pair = staticmethod(word_f1)
