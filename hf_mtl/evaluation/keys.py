"""Keys of a task's scores, and those among them that count."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath

from hf_mtl.evaluation.registry import greater_is_better
from hf_mtl.tasks import MetricSpec, Task


def metric_keys(task: Task) -> dict[str, MetricSpec]:
    """Name of each declared metric's score, in the order of declaration.

    The name is the metric's own; where a task declares one metric several times with different classes, the
    classes are added: ``f1_against_favor``. A metric that is a path or a Hub id goes by its last part.
    """
    stems = [PurePath(spec.name).stem for spec in task.metrics]
    repeated = {stem for stem, count in Counter(stems).items() if count > 1}
    return {
        (_with_classes(stem, spec) if stem in repeated else stem): spec
        for stem, spec in zip(stems, task.metrics, strict=True)
    }


def _with_classes(stem: str, spec: MetricSpec) -> str:
    return "_".join([stem, *(re.sub(r"\W+", "_", str(label)) for label in spec.labels or [])])


def score_keys(task: Task) -> list[tuple[str, MetricSpec | None]]:
    """Name of every score of a task and the metric that it belongs to; None: the loss.

    Where outputs are scored apart, each has a score of its own beside their mean. Names are different where
    `check_metrics` finds nothing.
    """
    found: list[tuple[str, MetricSpec | None]] = [("loss", None)]
    for key, spec in metric_keys(task).items():
        found += [(name, spec) for name in (key, *(f"{key}_{target}" for target in task.scored_apart))]
    return found


def headline_keys(task: Task) -> list[str]:
    """Names of the scores that are averaged: the declared metrics of which more is better.

    Raises:
        DataError: If a metric's direction is not known.
    """
    return [key for key, spec in metric_keys(task).items() if greater_is_better(spec)]


def first_scores(tasks: Mapping[str, Task], metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the first metric of each task that was evaluated, turned so that more is better; without one, the loss.

    Args:
        tasks: The tasks by name.
        metrics: Scores of an evaluation, as ``eval_<task>_<metric>``.

    Raises:
        DataError: If a metric's direction is not known.
    """
    found: dict[str, float] = {}
    for name, task in tasks.items():
        key, spec = next(iter(metric_keys(task).items()), ("loss", None))
        if (value := metrics.get(f"eval_{name}_{key}")) is not None:
            found[name] = float(value) if spec is not None and greater_is_better(spec) else -float(value)
    return found
