"""What a reader of a task's scores should know beside the numbers."""

from collections.abc import Iterator, Mapping
from functools import singledispatch
from typing import Any

import numpy as np

from hf_mtl.errors import name_classes
from hf_mtl.evaluation.outputs import ClassOutputs, broken_rows
from hf_mtl.evaluation.undefined import absent_classes, undefined_metrics
from hf_mtl.tasks import Regression, SequenceClassification, Task


def score_notes(
    task: Task, name: str, outputs: np.ndarray | ClassOutputs, labels: np.ndarray, scores: Mapping[str, float]
) -> list[str]:
    """Say what is behind scores that are undefined, or that look like scores and are none.

    Args:
        task: The task, its classes known.
        name: Its name.
        outputs: Logits [n, C] or what is kept of them, or predictions [n, D].
        labels: Class ids [n], or targets [n, D].
        scores: The task's scores.

    Returns:
        Sentences: outputs that are not finite, metrics that the labels leave undefined, classes that no row has, and
        predictions that are the same for every row where the labels are not.
    """
    broken = outputs.broken if isinstance(outputs, ClassOutputs) else broken_rows(outputs)
    if broken:
        return [f"{name}: {broken:,} of {len(outputs):,} outputs are not finite, so it has no scores."]
    undefined = undefined_metrics(task, name, labels, "scored")
    notes = [f"{name}: {mistake.problem}." for mistake in undefined]
    if not undefined and any(np.isnan(value) for value in scores.values()):
        keys = ", ".join(key for key, value in scores.items() if np.isnan(value))
        notes.append(f"{name}: {keys} is undefined here; average leaves it out where the task has another metric.")
    if absent := absent_classes(task, labels):
        shown = name_classes([f"'{label}'" for label in absent], 20)
        notes.append(f"{name}: no scored row is of class {shown}, which counts 0 in the mean over classes.")
    return [*notes, *(f"{name}: {note}" for note in _sameness(task, outputs, labels))]


@singledispatch
def _sameness(task: Task, outputs: Any, labels: np.ndarray) -> Iterator[str]:
    """Predictions that are the same for all rows."""
    yield from ()


@_sameness.register
def _(task: SequenceClassification, outputs: np.ndarray | ClassOutputs, labels: np.ndarray) -> Iterator[str]:
    predicted = np.unique(ClassOutputs.of(outputs).predicted)
    if len(predicted) == 1 and len(np.unique(labels)) > 1:
        names = task.label_names or []
        yield f"all {len(outputs):,} rows are predicted '{names[int(predicted[0])]}'."


@_sameness.register
def _(task: Regression, outputs: np.ndarray, labels: np.ndarray) -> Iterator[str]:
    rows = len(outputs)
    columns = zip(task.label_columns, outputs.reshape(rows, -1).T, labels.reshape(rows, -1).T, strict=True)
    for column, predicted, targets in columns:
        # A hundred thousandth of the targets' spread is no prediction.
        if np.ptp(targets) > 0 and np.ptp(predicted) <= 1e-5 * np.ptp(targets):
            mean = f"{predicted.mean():.4g}"
            yield f"all {rows:,} predictions of '{column}' are {mean}, within 1e-5 of the targets' spread."
