"""A task's outputs and labels -> its scores."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import singledispatch

import numpy as np

from hf_mtl.errors import DataError, Mistake
from hf_mtl.evaluation.foreign import Trust
from hf_mtl.evaluation.keys import metric_keys
from hf_mtl.evaluation.loading import Scorer, load_metric
from hf_mtl.evaluation.outputs import ClassOutputs, probabilities
from hf_mtl.tasks import Regression, SequenceClassification, Task


@singledispatch
def score_task(
    task: Task,
    name: str,
    outputs: np.ndarray | ClassOutputs,
    labels: np.ndarray,
    statistics: Mapping[str, Sequence[float]] | None = None,
    trust: Trust = Trust.CANONICAL,
) -> dict[str, float]:
    """Score a task with the metrics it declares, in their order.

    A new task type registers its own function here. Outputs that hold a NaN or infinity, as of a run that
    has diverged, make every score of the task NaN: no metric can make sense of them.

    Args:
        task: The task, its classes known.
        name: Its name, for messages.
        outputs: Classification: logits [n, C], or what is kept of them for the task's metrics. Regression:
            predictions [n, D] in original units.
        labels: Classification: class ids [n]. Regression: targets [n, D] in original units.
        statistics: ``std`` [D] of each training target, which mse_z needs.
        trust: Whose code the metrics may run.

    Returns:
        Values by `metric_keys`; after a metric of several targets, one value for each: ``pearson_V``.

    Raises:
        DataError: If there is nothing to score, or a metric cannot be loaded or computed.
    """
    raise TypeError(f"tasks of type {type(task).__name__} have no scores")


@score_task.register
def _(
    task: SequenceClassification,
    name: str,
    outputs: np.ndarray | ClassOutputs,
    labels: np.ndarray,
    statistics: Mapping[str, Sequence[float]] | None = None,
    trust: Trust = Trust.CANONICAL,
) -> dict[str, float]:
    labels = np.asarray(labels).reshape(-1)
    found = outputs
    if not isinstance(found, ClassOutputs):
        _check_shapes(name, np.shape(found), (len(labels), task.num_outputs))
        found = ClassOutputs.of(np.asarray(found))
    _check_shapes(name, found.predicted.shape, (len(labels),))
    return _class_scores(task, name, found, labels, statistics, trust)


def _class_scores(
    task: SequenceClassification,
    name: str,
    found: ClassOutputs,
    labels: np.ndarray,
    statistics: Mapping[str, Sequence[float]] | None,
    trust: Trust,
) -> dict[str, float]:
    from hf_mtl.evaluation.metrics.base import ProbabilityMetric  # imports evaluate

    if found.broken:
        return dict.fromkeys(metric_keys(task), math.nan)

    def compute(metric: Scorer) -> dict[str, float]:
        if not metric.wants_probabilities:
            return metric.compute(predictions=found.predicted, references=labels)
        assert found.logits is not None  # `wants_logits` has said so
        if isinstance(metric, ProbabilityMetric):
            return {metric.key: metric.of_logits(found.logits, labels)}
        return metric.compute(prediction_scores=probabilities(found.logits), references=labels)

    return _scores(task, name, compute, statistics, trust)


@score_task.register
def _(
    task: Regression,
    name: str,
    outputs: np.ndarray,
    labels: np.ndarray,
    statistics: Mapping[str, Sequence[float]] | None = None,
    trust: Trust = Trust.CANONICAL,
) -> dict[str, float]:
    targets = np.asarray(labels, dtype=np.float64).reshape(len(labels), -1)
    predictions = np.asarray(outputs, dtype=np.float64).reshape(len(outputs), -1)
    _check_shapes(name, predictions.shape, (len(targets), task.num_outputs))
    if not np.isfinite(predictions).all():
        return dict.fromkeys(metric_keys(task), math.nan)
    if task.num_outputs == 1:
        targets, predictions = targets[:, 0], predictions[:, 0]
    return _scores(
        task, name, lambda metric: metric.compute(predictions=predictions, references=targets), statistics, trust
    )


def _scores(
    task: Task,
    name: str,
    compute: Callable[[Scorer], dict[str, float]],
    statistics: Mapping[str, Sequence[float]] | None,
    trust: Trust,
) -> dict[str, float]:
    scores: dict[str, float] = {}
    for key, spec in metric_keys(task).items():
        metric: Scorer = load_metric(spec, task, statistics, key=f"tasks.{name}.metrics", trust=trust)
        scores |= {key + found.removeprefix(metric.key): value for found, value in compute(metric).items()}
    return scores


def _check_shapes(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if expected[0] == 0:
        raise DataError(Mistake(f"tasks.{name}.dataset", "no rows to score", "Give the task a split with rows"))
    if found != expected:
        raise ValueError(f"task '{name}': outputs of shape {expected} expected, found {found}")
