"""Metrics that say nothing on some rows, whatever a model predicts: known from the labels alone."""

from collections.abc import Iterator
from functools import singledispatch

import numpy as np

from hf_mtl.errors import Mistake
from hf_mtl.evaluation.keys import metric_keys
from hf_mtl.tasks import MetricSpec, Regression, SequenceClassification, Task


def undefined_metrics(task: Task, name: str, labels: np.ndarray, rows: str) -> list[Mistake]:
    """A mistake for every metric of a task that the labels leave without a meaning.

    Args:
        task: The task, its classes known.
        name: Its name.
        labels: Class ids [n] or targets [n, D] of the rows to score, none of them missing.
        rows: What the rows are, such as ``validation``.
    """
    key = f"tasks.{name}.metrics"
    return [
        Mistake(key, f"{metric} is {problem} on the {len(labels):,} {rows} rows: {why}", remedy)
        for metric, spec in metric_keys(task).items()
        for problem, why, remedy in _problems(task, spec, labels)
    ]


@singledispatch
def _problems(task: Task, spec: MetricSpec, labels: np.ndarray) -> Iterator[tuple[str, str, str]]:
    """What becomes of a metric, why, and what to do."""
    yield from ()


@_problems.register
def _(task: SequenceClassification, spec: MetricSpec, labels: np.ndarray) -> Iterator[tuple[str, str, str]]:
    names = task.label_names or []
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
            yield (
                "0 whatever is predicted",
                f"none is of class {wanted}",
                f"Give rows of class {wanted} to evaluate on.",
            )


@_problems.register
def _(task: Regression, spec: MetricSpec, labels: np.ndarray) -> Iterator[tuple[str, str, str]]:
    remedy = "Give rows with different targets to evaluate on, or use another metric, such as mse."
    if spec.name not in ("pearson", "spearman", "r2"):
        return
    for column, values in zip(task.label_columns, labels.reshape(len(labels), -1).T, strict=True):
        if np.ptp(values) == 0:
            what = "undefined" if spec.name == "r2" else "0 whatever is predicted"
            of = f" in '{column}'" if len(task.label_columns) > 1 else ""
            yield what, f"every target{of} is {values[0]:g}", remedy


def _named(label: str | int, names: list[str]) -> str:
    return names[label] if isinstance(label, int) else label


def absent_classes(task: Task, labels: np.ndarray) -> list[str]:
    """Classes that no row has, each of which counts 0 in f1_macro and recall_macro."""
    if not isinstance(task, SequenceClassification) or task.label_names is None:
        return []
    if not any(spec.name in ("f1_macro", "recall_macro") for spec in task.metrics):
        return []
    present = set(np.unique(labels).tolist())
    return [label for index, label in enumerate(task.label_names) if index not in present]
