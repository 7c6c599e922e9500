"""What is reached without an encoder: the majority class or mean, and TF-IDF with a linear model."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import singledispatch
from typing import Any

import numpy as np

from hf_mtl.evaluation.outputs import ELEMENTS, ClassOutputs, wants_logits
from hf_mtl.evaluation.scores import score_task
from hf_mtl.tasks import Regression, SequenceClassification, Task

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

    ``majority`` predicts the classes' training shares (so the majority class) or the training mean.
    ``tfidf`` is scikit-learn's `TfidfVectorizer` with `LogisticRegression` or `Ridge`, at their defaults.

    Args:
        task: The task, its classes known.
        name: Its name, for messages.
        train_texts: Texts, or pairs of texts.
        train_labels: Class ids [n], or targets [n] or [n, D] in original units.
        eval_texts: Texts to score.
        eval_labels: Their labels.
        ngram_range: Shortest and longest n-grams of words.

    Returns:
        Scores by baseline and metric.
    """
    outputs = baseline_outputs(task, train_texts, train_labels, eval_texts, ngram_range)
    statistics = target_spread(task, train_labels)
    return {key: score_task(task, name, found, eval_labels, statistics) for key, found in outputs.items()}


def target_spread(task: Task, train_labels: np.ndarray) -> dict[str, list[float]] | None:
    """Standard deviations of the training targets, which mse_z needs; None for classes."""
    return {"std": _std(np.asarray(train_labels))} if isinstance(task, Regression) else None


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
        train_labels: Class ids [n], or targets [n] or [n, D] in original units.
        eval_texts: Texts to predict.
        ngram_range: Shortest and longest n-grams of words.

    Returns:
        By baseline: log-probabilities [m, C], or predictions [m, D].
    """
    parts = _baseline_parts(task, train_texts, np.asarray(train_labels), eval_texts, ngram_range)
    return {name: np.concatenate(list(found)) for name, found in parts.items()}


def baseline_predictions(
    task: Task, train_texts: Texts, train_labels: np.ndarray, eval_texts: Texts
) -> dict[str, np.ndarray | ClassOutputs]:
    """As `baseline_outputs`; of classes no more is kept than the task's metrics want.

    Args:
        task: As there.
        train_texts: As there.
        train_labels: As there.
        eval_texts: As there.
    """
    parts = _baseline_parts(task, train_texts, np.asarray(train_labels), eval_texts, (1, 1))
    if isinstance(task, SequenceClassification):
        whole = wants_logits(task)
        return {name: ClassOutputs.gathered(found, whole) for name, found in parts.items()}
    return {name: np.concatenate(list(found)) for name, found in parts.items()}


def _baseline_parts(
    task: Task, train_texts: Texts, train_labels: np.ndarray, eval_texts: Texts, ngram_range: tuple[int, int]
) -> dict[str, Iterator[np.ndarray]]:
    """The outputs for some of the evaluated rows after others, by baseline."""
    constant = constant_outputs(task, train_labels)
    rows = max(1, ELEMENTS // len(constant))
    parts = [range(start, min(start + rows, len(eval_texts))) for start in range(0, len(eval_texts), rows)]

    def everywhere() -> Iterator[np.ndarray]:
        return (np.tile(constant, (len(part), 1)) for part in parts)

    features = _tfidf(_joined(train_texts), _joined(eval_texts), ngram_range)
    if features is None or len(np.unique(train_labels)) == 1:
        return {"majority": everywhere(), "tfidf": everywhere()}
    train, evaluated = features
    predict = linear_outputs(task, train, train_labels, constant)
    return {"majority": everywhere(), "tfidf": (predict(evaluated[part.start : part.stop]) for part in parts)}


@singledispatch
def constant_outputs(task: Task, train_labels: np.ndarray) -> np.ndarray:
    """Outputs of the model that has seen only the labels: log shares of the classes [C], or means [D]."""
    raise TypeError(f"tasks of type {type(task).__name__} have no baseline")


@constant_outputs.register
def _(task: SequenceClassification, train_labels: np.ndarray) -> np.ndarray:
    return _log(np.bincount(train_labels.reshape(-1), minlength=task.num_outputs) / train_labels.size)


@constant_outputs.register
def _(task: Regression, train_labels: np.ndarray) -> np.ndarray:
    return train_labels.reshape(len(train_labels), -1).mean(axis=0)


@singledispatch
def linear_outputs(
    task: Task, train_features: Any, train_labels: np.ndarray, constant: np.ndarray
) -> Callable[[Any], np.ndarray]:
    """Fit a linear model: from features of n rows to log-probabilities [n, C], or predictions [n, D]."""
    raise TypeError(f"tasks of type {type(task).__name__} have no baseline")


@linear_outputs.register
def _(
    task: SequenceClassification, train_features: Any, train_labels: np.ndarray, constant: np.ndarray
) -> Callable[[Any], np.ndarray]:
    from sklearn.linear_model import LogisticRegression

    # 100 iterations, the default, do not always converge on text; more change nothing where they do.
    model = LogisticRegression(max_iter=1000).fit(train_features, train_labels.reshape(-1))

    def predict(features: Any) -> np.ndarray:
        outputs = np.tile(_log(np.zeros_like(constant)), (features.shape[0], 1))
        outputs[:, model.classes_] = _log(model.predict_proba(features))
        return outputs

    return predict


@linear_outputs.register
def _(
    task: Regression, train_features: Any, train_labels: np.ndarray, constant: np.ndarray
) -> Callable[[Any], np.ndarray]:
    from sklearn.linear_model import Ridge

    model = Ridge().fit(train_features, train_labels.reshape(len(train_labels), -1))
    return lambda features: np.asarray(model.predict(features)).reshape(-1, len(constant))


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


def _std(targets: np.ndarray) -> list[float]:
    std = targets.reshape(len(targets), -1).std(axis=0)
    return [float(value) for value in np.where(std > 0, std, 1.0)]


def _log(shares: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(shares, 1e-12))
