"""Baselines for rows with choices: the places that are right, and a linear model of what choices share with texts."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hf_mtl.tasks.learning import NO_SITE


class TextRow(NamedTuple):
    """A row with choices.

    Args:
        context: All that is read with each choice.
        choices: The choices.
    """

    context: str
    choices: list[str]


def choice_baselines(train: Sequence[TextRow], labels: np.ndarray, rows: Sequence[TextRow]) -> dict[str, np.ndarray]:
    """Predict rows with two simple models.

    ``majority`` has seen the training labels alone, and predicts the shares of the places. ``tfidf`` scores each
    choice with a logistic regression, of what it is (its TF-IDF) and of how it compares with its context and with the
    row's other choices.

    Args:
        train: The training rows.
        labels: The places of their right choices, [n].
        rows: The m rows to predict.

    Returns:
        Logits by baseline, [m, S, 1], with `NO_SITE` where a row has no such choice.
    """
    counts = np.array([len(row.choices) for row in rows])
    wide = int(counts.max(initial=2))
    shares = place_shares(labels, max(wide, int(labels.max(initial=0)) + 1))[:wide]
    majority = np.where(np.arange(wide) < counts[:, None], shares, NO_SITE)[..., None]
    scores = _linear_scores(train, labels, rows)
    if scores is None:
        return {"majority": majority, "tfidf": majority}
    tfidf = np.full((len(rows), wide), NO_SITE)
    tfidf[np.arange(wide) < counts[:, None]] = scores  # row by row, as the scores come
    return {"majority": majority, "tfidf": tfidf[..., None]}


def place_shares(labels: np.ndarray, places: int) -> np.ndarray:
    """Return the log shares of the places among training labels, [S].

    Args:
        labels: The places of the right choices, [n].
        places: Their number S.
    """
    shares = np.bincount(labels.reshape(-1), minlength=places) / labels.size
    found: np.ndarray = np.log(np.maximum(shares, 1e-12))
    return found


def _linear_scores(train: Sequence[TextRow], labels: np.ndarray, rows: Sequence[TextRow]) -> np.ndarray | None:
    """Fit the linear model, and return the score of each choice of the rows, end to end; None: there are no words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectorizer = TfidfVectorizer()
    try:
        vectorizer.fit([text for row in train for text in (row.context, *row.choices)])
    except ValueError as error:
        if "empty vocabulary" not in str(error):
            raise
        warnings.warn(
            "The training texts hold no word of two letters or more: the tfidf baseline equals the majority one.",
            stacklevel=4,
        )
        return None
    counts = np.array([len(row.choices) for row in train])
    right = np.zeros(counts.sum(), dtype=np.int64)
    right[np.cumsum(counts) - counts + labels.reshape(-1)] = 1
    model = LogisticRegression(max_iter=1000).fit(_features(vectorizer, train), right)
    found: np.ndarray = model.decision_function(_features(vectorizer, rows))
    return found


def _features(vectorizer: Any, rows: Sequence[TextRow]) -> Any:
    """Return sparse features of each choice of rows, end to end."""
    from scipy.sparse import csr_array, hstack

    counts = np.array([len(row.choices) for row in rows])
    owner = np.repeat(np.arange(len(rows)), counts)
    contexts = vectorizer.transform([row.context for row in rows])[owner]
    choices = vectorizer.transform([text for row in rows for text in row.choices])
    shared = np.asarray(contexts.multiply(choices).sum(axis=1)).reshape(-1)  # both have length 1: their cosine
    covered = np.asarray(choices.multiply(contexts > 0).sum(axis=1)).reshape(-1)
    words = np.log1p(np.array([len(text.split()) for row in rows for text in row.choices]))
    numbers = np.stack([shared, covered, words], axis=1)
    starts = np.cumsum(counts) - counts
    means = np.add.reduceat(numbers, starts) / counts[:, None]
    # Beside the row's other choices, as one of them has to be right.
    return hstack([csr_array(choices), csr_array(numbers), csr_array(numbers - means[owner])], format="csr")
