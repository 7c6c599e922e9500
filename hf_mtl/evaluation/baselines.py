"""Baselines without an encoder: the majority class or the mean, and TF-IDF with a linear model."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hf_mtl.evaluation.outputs import ELEMENTS
from hf_mtl.evaluation.scores import score_task
from hf_mtl.tasks import Task
from hf_mtl.tasks.scoring import Outputs

Texts = Sequence[str] | Sequence[Sequence[str]]


def baseline_scores(
    task: Task,
    name: str,
    train_texts: Texts,
    train_labels: np.ndarray,
    eval_texts: Texts,
    eval_labels: np.ndarray,
    ngram_range: tuple[int, int] = (1, 1),
) -> dict[str, dict[str, float]]:
    """Score two simple models with the task's own metrics.

    ``majority`` has seen the training labels alone: of classes it predicts the shares (so the majority class), of
    values the mean. ``tfidf`` is scikit-learn's `TfidfVectorizer` with the task's own linear model.

    Args:
        task: The task, its classes known.
        name: Its name, for messages.
        train_texts: Texts, or pairs of texts, or what else the task's text columns hold.
        train_labels: Their labels, as the task encodes them.
        eval_texts: Texts to score.
        eval_labels: Their labels.
        ngram_range: Shortest and longest n-grams of words.

    Returns:
        Scores by baseline and metric.
    """
    outputs = baseline_outputs(task, train_texts, train_labels, eval_texts, ngram_range)
    statistics = task.training_statistics(np.asarray(train_labels))
    return {key: score_task(task, name, found, eval_labels, statistics) for key, found in outputs.items()}


def baseline_outputs(
    task: Task,
    train_texts: Texts,
    train_labels: np.ndarray,
    eval_texts: Texts,
    ngram_range: tuple[int, int] = (1, 1),
) -> dict[str, np.ndarray]:
    """Predict with the two models of `baseline_scores`.

    Args:
        task: The task, its classes known.
        train_texts: Texts, or pairs of texts.
        train_labels: Their labels, as the task encodes them.
        eval_texts: Texts to predict.
        ngram_range: Shortest and longest n-grams of words.

    Returns:
        Outputs by baseline, [m, C] or [m, ..., C], such as log-probabilities.
    """
    parts = _baseline_parts(task, train_texts, np.asarray(train_labels), eval_texts, ngram_range)
    return {name: np.concatenate(list(found)) for name, found in parts.items()}


def baseline_predictions(
    task: Task, train_texts: Texts, train_labels: np.ndarray, eval_texts: Texts
) -> dict[str, Outputs]:
    """Predict as `baseline_outputs`; no more is kept than the task's metrics want.

    Args:
        task: As there.
        train_texts: As there.
        train_labels: As there.
        eval_texts: As there.
    """
    parts = _baseline_parts(task, train_texts, np.asarray(train_labels), eval_texts, (1, 1))
    return {name: task.gathered(found) for name, found in parts.items()}


def _baseline_parts(
    task: Task, train_texts: Texts, train_labels: np.ndarray, eval_texts: Texts, ngram_range: tuple[int, int]
) -> dict[str, Iterator[np.ndarray]]:
    """Give the outputs for some of the evaluated rows after others, by baseline."""
    own = task.own_baselines(train_texts, train_labels, eval_texts)
    if own is not None:
        return {name: iter([outputs]) for name, outputs in own.items()}
    constant = task.constant_outputs(train_labels)
    rows = max(1, ELEMENTS // len(constant))
    parts = [range(start, min(start + rows, len(eval_texts))) for start in range(0, len(eval_texts), rows)]

    def everywhere() -> Iterator[np.ndarray]:
        return (np.tile(constant, (len(part), 1)) for part in parts)

    features = _tfidf(_joined(train_texts), _joined(eval_texts), ngram_range)
    if features is None or len(np.unique(train_labels)) == 1:
        return {"majority": everywhere(), "tfidf": everywhere()}
    train, evaluated = features
    predict = task.linear_outputs(train, train_labels, constant)
    return {"majority": everywhere(), "tfidf": (predict(evaluated[part.start : part.stop]) for part in parts)}


def _joined(texts: Texts) -> list[str]:
    return [text if isinstance(text, str) else " [SEP] ".join(text) for text in texts]


def _tfidf(train: list[str], evaluated: list[str], ngram_range: tuple[int, int]) -> tuple[Any, Any] | None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=ngram_range)
    try:
        return vectorizer.fit_transform(train), vectorizer.transform(evaluated)
    except ValueError as error:
        if "empty vocabulary" not in str(error):
            raise
        warnings.warn(
            "The training texts hold no word of two letters or more: the tfidf baseline equals the majority one.",
            stacklevel=3,
        )
        return None
