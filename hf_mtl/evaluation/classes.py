"""Scores of tasks whose rows are of one class each: what their labels leave undefined, and simple models."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from hf_mtl.errors import DataError
from hf_mtl.evaluation.checks import f1_mistakes
from hf_mtl.evaluation.outputs import ClassOutputs, probabilities
from hf_mtl.tasks import MetricSpec
from hf_mtl.tasks.scoring import Metric


def class_measure(metric: Metric, found: ClassOutputs, labels: np.ndarray) -> dict[str, float]:
    """Compute a metric of predicted classes or of their probabilities.

    Args:
        metric: The metric.
        found: The outputs; with their logits, if the metric wants probabilities.
        labels: Class ids [n].
    """
    from hf_mtl.evaluation.metrics.base import ProbabilityMetric  # imports evaluate

    if not metric.wants_probabilities:
        return metric.compute(predictions=found.predicted, references=labels)
    assert found.logits is not None  # `wants_logits` has said so
    if isinstance(metric, ProbabilityMetric):
        return {metric.key: metric.of_logits(found.logits, labels)}
    return metric.compute(prediction_scores=probabilities(found.logits), references=labels)


def class_ids(spec: MetricSpec, names: list[str], key: str) -> list[int] | None:
    """Find the classes that an f1 averages over; None: those that it does by itself.

    Args:
        spec: The f1.
        names: Class names in id order.
        key: Recipe key that a mistake belongs to.

    Raises:
        DataError: If there are no such classes.
    """
    if mistakes := list(f1_mistakes(key, spec, names)):
        raise DataError(mistakes)
    if spec.labels is None:
        return None
    return [names.index(label) if isinstance(label, str) else label for label in spec.labels]


def undefined_of_classes(spec: MetricSpec, names: list[str], labels: np.ndarray) -> Iterator[tuple[str, str, str]]:
    """Find what becomes of a metric of classes where rows are all of one, or none is of those that it is about.

    Args:
        spec: The metric.
        names: Class names in id order.
        labels: Class ids [n].

    Yields:
        What becomes of it, why, and what to do.
    """
    present = {names[index] for index in np.unique(labels)}
    only = f"all are of class '{next(iter(present))}'"
    remedy = "Give rows of two classes or more to evaluate on, or use another metric, such as accuracy."
    if len(present) == 1 and spec.name == "auroc_macro":
        yield "undefined", only, remedy
    if len(present) == 1 and spec.name == "matthews":
        yield "0 whatever is predicted", only, remedy
    if spec.name == "f1":
        chosen = [names[1]] if spec.labels is None else [_named(label, names) for label in spec.labels]
        if not present & set(chosen):
            wanted = ", ".join(f"'{label}'" for label in chosen)
            what = "0 whatever is predicted"
            yield what, f"none is of class {wanted}", f"Give rows of class {wanted} to evaluate on."


def absent_classes(metrics: Iterable[MetricSpec], names: list[str], labels: np.ndarray) -> list[str]:
    """Name the classes without rows, if a metric takes the mean over classes and counts them 0.

    Args:
        metrics: The task's metrics.
        names: Class names in id order.
        labels: Class ids [n].
    """
    if not any(spec.name in ("f1_macro", "recall_macro") for spec in metrics):
        return []
    present = set(np.unique(labels).tolist())
    return [name for index, name in enumerate(names) if index not in present]


def _named(label: str | int, names: list[str]) -> str:
    return names[label] if isinstance(label, int) else label


def likeliest(labels: np.ndarray) -> np.ndarray:
    """Return class ids [n] of soft labels: that of the largest share, the first of equal ones; others as they are.

    Args:
        labels: Class ids [n], or shares of the classes [n, C].
    """
    return labels.argmax(axis=1) if labels.dtype.kind == "f" else labels.reshape(-1)


def class_masses(labels: np.ndarray, classes: int) -> np.ndarray:
    """Add up the rows of each class, and of soft labels their shares, [C].

    Args:
        labels: Class ids [n], or shares of the classes [n, C].
        classes: Number of classes C.
    """
    found: np.ndarray = labels.sum(axis=0) if labels.dtype.kind == "f" else np.bincount(labels, minlength=classes)
    return found


def class_shares(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the log shares of the classes among training rows [C]: the logits of who has seen nothing else.

    Args:
        labels: Class ids [n], or shares of the classes [n, C].
        classes: Their number C.
    """
    return _log(class_masses(labels, classes) / len(labels))


def linear_classes(features: Any, labels: np.ndarray, classes: int) -> Callable[[Any], np.ndarray]:
    """Fit scikit-learn's `LogisticRegression`: from features of m rows to log-probabilities [m, C].

    Args:
        features: Of the training rows [n, F].
        labels: Their class ids [n], or shares of the classes [n, C].
        classes: Number of classes C, also of those without rows.
    """
    from sklearn.linear_model import LogisticRegression

    ids, weights = labels.reshape(-1), None
    if labels.dtype.kind == "f":  # a row of several classes is a row of each, with its share
        rows, ids = np.nonzero(labels)
        features, weights = features[rows], labels[rows, ids]
        if len(np.unique(ids)) == 1:
            constant = class_shares(labels, classes)
            return lambda features: np.tile(constant, (features.shape[0], 1))
    # 100 iterations, the default, do not always converge on text; more change nothing where they do.
    model = LogisticRegression(max_iter=1000).fit(features, ids, sample_weight=weights)

    def predict(features: Any) -> np.ndarray:
        outputs = np.tile(_log(np.zeros(classes)), (features.shape[0], 1))
        outputs[:, model.classes_] = _log(model.predict_proba(features))
        return outputs

    return predict


def _log(shares: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.log(np.maximum(shares, 1e-12))
    return found
