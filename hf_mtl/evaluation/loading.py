"""Loading of metrics by name."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any
from uuid import uuid4

import numpy as np

from hf_mtl.caches import refuse_cache
from hf_mtl.errors import DataError, Mistake, known
from hf_mtl.evaluation.foreign import Trust, foreign_mistake
from hf_mtl.evaluation.registry import METRICS, without_weights
from hf_mtl.progress import no_bars
from hf_mtl.tasks import MetricSpec, Task
from hf_mtl.tasks.scoring import Metric


def load_metric(
    spec: MetricSpec,
    task: Task,
    statistics: Mapping[str, Sequence[float]] | None = None,
    key: str = "metrics",
    trust: Trust = Trust.CANONICAL,
    weights: np.ndarray | None = None,
) -> Metric:
    """Build one of our metrics for a task, or else load it with `evaluate.load`.

    Args:
        spec: The metric and its options.
        task: The task to score; its classes must be known.
        statistics: ``std`` of each training target, which mse_z needs.
        key: Recipe key that a mistake belongs to.
        trust: Whose code may be run.
        weights: Weights of the rows to score, [n]; None: all weigh the same.

    Raises:
        DataError: If the metric is code that may not be run, cannot be loaded (offline, or unknown), does not suit
            the task, or takes no weights.
    """
    entry = METRICS.get(spec.name)
    if weights is not None and (mistake := without_weights(key, spec)):
        raise DataError(mistake)
    if entry is None:
        if mistake := foreign_mistake(key, spec, trust):
            raise DataError(mistake)
        return ExternalMetric(spec, task, key)
    if not entry.scores(task.outputs_are):
        raise DataError(Mistake(key, f"the metric '{spec.name}' cannot score a task of type {task.type}"))
    module = importlib.import_module(entry.module, "hf_mtl.evaluation.metrics")
    metric: Any = getattr(module, entry.class_name)(**task.metric_options(spec, statistics or {}, key))
    if weights is not None:
        metric.weights = weights
    found: Metric = metric
    return found


_LOADED: dict[str, Any] = {}
"""Metrics that `evaluate.load` has given, by name; each computes again and again."""


def _load(name: str) -> Any:
    import datasets
    import evaluate  # takes seconds

    if name not in _LOADED:
        # In memory and under a name of its own, so that processes do not meet in lock files.
        with no_bars(datasets.are_progress_bars_disabled()):  # its own too, now that it is imported
            _LOADED[name] = evaluate.load(name, keep_in_memory=True, experiment_id=uuid4().hex)
    return _LOADED[name]


def forget_loaded(name: str) -> None:
    """Have a metric that is not ours loaded anew when it is next asked for.

    Args:
        name: As a task has it.
    """
    _LOADED.pop(name, None)


class ExternalMetric:
    """A metric that `evaluate.load` finds: on the Hub, in its cache, or as a local script.

    Of several numbers that it returns, the one with the metric's name counts, or else the first.
    """

    def __init__(self, spec: MetricSpec, task: Task, recipe_key: str):
        self.spec, self.recipe_key, self.key = spec, recipe_key, PurePath(spec.name).stem
        self.output_names = task.scored_apart
        try:
            self.metric = _load(spec.name)
        except Exception as error:  # whatever the Hub, the cache or the metric's own imports raise
            refuse_cache(error)
            raise DataError(self._mistake("could not be loaded", error)) from error
        features = self.metric.features
        self.wants_probabilities = "prediction_scores" in (features[0] if isinstance(features, list) else features)

    def _mistake(self, what: str, error: Exception) -> Mistake:
        reason = " ".join(str(error).split()) or type(error).__name__
        problem = f"the id '{self.spec.name}' {what} by `evaluate`: {reason.rstrip('.')}"
        return Mistake(
            self.recipe_key, problem, known(METRICS, self.spec.name, what="Metrics of hf_mtl, always there")
        )

    def compute(self, **inputs: Any) -> dict[str, float]:
        """Return values by name; with several targets the mean, and one value for each."""
        from hf_mtl.evaluation.metrics.base import per_target  # imports evaluate

        columns = {name: np.asarray(value) for name, value in inputs.items()}
        if columns["references"].ndim == 1:
            return {self.key: self._value(columns)}
        values: list[float | None] = []
        for target, truth in enumerate(columns["references"].T):
            # Of targets that a row may not have, those that it has: the others are NaN.
            given = truth == truth
            alone = {name: value[given, target] for name, value in columns.items()}
            values.append(self._value(alone) if given.any() else None)
        return per_target(self.key, values, self.output_names)

    def _value(self, inputs: dict[str, np.ndarray]) -> float:
        try:
            result = self.metric.compute(**inputs)
            return float(result[self.key] if self.key in result else next(iter(result.values())))
        except Exception as error:  # code from elsewhere; it may not suit the task
            raise DataError(self._mistake("could not be computed", error)) from error
