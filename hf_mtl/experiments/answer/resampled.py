"""Scores of many draws of a task's rows at once: a draw is how often it has each row.

Each of our metrics is made of sums over rows, or of the order of rows by a number. Whether a score made this way is
the one that the task's own metric gives is looked at on the rows as they are, before it is used (see `rows`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.evaluation.binary import UNKNOWN
from hf_mtl.evaluation.classes import likeliest
from hf_mtl.experiments.answer.ordered import area, average_precision, rank_correlation
from hf_mtl.experiments.answer.summed import class_score, label_score, mean_of, ratio, value_score
from hf_mtl.tasks import MetricSpec
from hf_mtl.training.scoring.kept_rows import TaskRows

Counts = NDArray[np.float64]
"""How often each of R draws has each of n rows, times the rows' weights, [R, n]."""
Resampled = Callable[[Counts], NDArray[np.float64]]
"""From draws [R, n] their scores [R]; NaN where the score is undefined."""


def resampled(rows: TaskRows, spec: MetricSpec) -> Resampled | None:
    """Make the function that scores many draws of a task's rows.

    Args:
        rows: The rows, all of whose outputs are finite.
        spec: A metric.

    Returns:
        The function; None: the metric is not ours, or the task of a type that is not ours.
    """
    kinds = {
        "classes": _of_classes,
        "choices": _of_classes,
        "ranks": _of_classes,
        "tags": _of_tags,
        "labels": _of_labels,
        "values": _of_values,
        "spans": _of_spans,
    }
    make = kinds.get(str(rows.task.outputs_are))
    return None if make is None else make(rows, spec, rows.task.metric_options(spec, rows.statistics, "metrics"))


def _of_classes(rows: TaskRows, spec: MetricSpec, options: dict[str, Any]) -> Resampled | None:
    outputs: Any = rows.read()
    labels = likeliest(rows.labels)
    logits = getattr(outputs, "logits", None)
    predicted = outputs.predicted if hasattr(outputs, "predicted") else rows.task.predictions(outputs.values)
    if spec.name == "auroc_macro" and logits is not None:
        return area(_softmax(logits), labels)
    if spec.name == "ece" and logits is not None:
        return _calibration_error(logits, labels)
    if spec.name == "mae":
        return mean_of(np.abs(predicted - labels).astype(np.float64))
    classes = int(options.get("num_classes") or max(predicted.max(initial=0), labels.max(initial=0)) + 1)
    return class_score(spec.name, predicted[:, None], labels[:, None], classes, options.get("labels"))


def _of_tags(rows: TaskRows, spec: MetricSpec, options: dict[str, Any]) -> Resampled | None:
    task: Any = rows.task
    outputs: Any = rows.read()
    predicted, labels = outputs.over(rows.labels, task.tags.outside)
    if spec.name.startswith("entity_"):
        return _of_entities(spec.name, predicted, labels, task.tags.names, options)
    if spec.name == "ece":
        return None
    known = labels != NO_CLASS
    found = [np.where(known, values, -1) for values in (predicted, labels)]
    return class_score(spec.name, found[0], found[1], task.num_outputs, options.get("labels"))


def _of_entities(
    name: str, predicted: np.ndarray, labels: np.ndarray, names: Sequence[str], options: dict[str, Any]
) -> Resampled:
    """Score entities by the numbers of right, predicted and true ones of each row."""
    import seqeval.scheme  # the extra [tags]

    scheme = getattr(seqeval.scheme, options["scheme"])
    words = np.array([*names, "O"], dtype=object)
    counts = np.zeros((len(labels), 3))
    for number, (found, true) in enumerate(zip(predicted, labels, strict=True)):
        known = true != NO_CLASS
        if known.any():
            lists = [[words[value[known]].tolist()] for value in (found, true)]
            entities = [set(seqeval.scheme.Entities(sentence, scheme).entities[0]) for sentence in lists]
            counts[number] = len(entities[0] & entities[1]), len(entities[0]), len(entities[1])
    right, guessed, there = (np.array(weights) for weights in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    above, below = {
        "entity_f1": (2 * right, guessed + there),
        "entity_precision": (right, guessed),
        "entity_recall": (right, there),
    }[name]
    return ratio(counts @ above, counts @ below)


def _of_labels(rows: TaskRows, spec: MetricSpec, options: dict[str, Any]) -> Resampled | None:
    outputs: Any = rows.read()
    answers, predicted = rows.labels.reshape(len(rows), -1), rows.task.predictions(outputs.values)
    if spec.name == "mean_average_precision":
        return average_precision(outputs.values.astype(np.float64), answers == 1, answers != UNKNOWN)
    if spec.name == "label_ranking_average_precision":
        return None
    known = answers != UNKNOWN
    return label_score(spec.name, known & (predicted == 1), known & (answers == 1), options.get("labels"))


def _of_values(rows: TaskRows, spec: MetricSpec, options: dict[str, Any]) -> Resampled | None:
    outputs: Any = rows.read()
    predicted = outputs.values.astype(np.float64).reshape(len(rows), -1)
    truth = np.asarray(rows.labels, dtype=np.float64).reshape(len(rows), -1)
    if spec.name == "spearman":
        return rank_correlation(predicted, truth)
    return value_score(spec.name, predicted, truth, options.get("target_std"))


def _of_spans(rows: TaskRows, spec: MetricSpec, options: dict[str, Any]) -> Resampled | None:
    """Score answers by the mean of what each row gets."""
    from hf_mtl.evaluation.loading import load_metric

    if spec.name not in ("squad_f1", "squad_exact_match"):
        return None
    metric: Any = load_metric(spec, rows.task)
    each: list[np.ndarray] = []

    class _Asking:
        """Stands for the metric, and keeps what each row gets."""

        key, wants_probabilities = metric.key, False

        def compute(self, **inputs: Any) -> dict[str, float]:
            each.append(metric.each(inputs["predictions"], inputs["references"]))
            return {metric.key: float(each[0].mean())}

    rows.task.measure(_Asking(), rows.read(), rows.labels)
    return mean_of(each[0])


def _softmax(logits: np.ndarray) -> NDArray[np.float64]:
    from hf_mtl.evaluation.outputs import probabilities

    return probabilities(logits)


def _calibration_error(logits: np.ndarray, labels: np.ndarray) -> Resampled:
    from hf_mtl.evaluation.calibration import DEFAULT_BINS

    values = _softmax(logits)
    confidence, right = values.max(axis=1), values.argmax(axis=1) == labels
    index = np.clip(np.ceil(confidence * DEFAULT_BINS).astype(np.int64) - 1, 0, DEFAULT_BINS - 1)
    gaps = np.zeros((len(labels), DEFAULT_BINS))
    gaps[np.arange(len(labels)), index] = right - confidence

    def score(counts: Counts) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.abs(counts @ gaps).sum(axis=1) / counts.sum(axis=1)
        return found

    return score
