"""Metrics that say nothing on some rows, whatever a model predicts: known from the labels alone."""

import numpy as np

from hf_mtl.errors import Mistake
from hf_mtl.evaluation.keys import metric_keys
from hf_mtl.tasks import Task


def undefined_metrics(task: Task, name: str, labels: np.ndarray, rows: str) -> list[Mistake]:
    """Make a mistake of every metric of a task that the labels leave without a meaning.

    Args:
        task: The task, its outputs known.
        name: Its name.
        labels: Labels of the rows to score, none of them missing.
        rows: What the rows are, such as ``validation``.
    """
    key = f"tasks.{name}.metrics"
    return [
        Mistake(key, f"{metric} is {problem} on the {len(labels):,} {rows} rows: {why}", remedy)
        for metric, spec in metric_keys(task).items()
        for problem, why, remedy in task.undefined(spec, labels)
    ]
