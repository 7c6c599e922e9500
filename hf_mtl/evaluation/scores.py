"""Scores of a task from its outputs and labels."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hf_mtl.errors import DataError, Mistake
from hf_mtl.evaluation.foreign import Trust
from hf_mtl.evaluation.keys import metric_keys
from hf_mtl.evaluation.loading import load_metric
from hf_mtl.tasks import Task
from hf_mtl.tasks.scoring import Outputs


def score_task(
    task: Task,
    name: str,
    outputs: np.ndarray | Outputs,
    labels: np.ndarray,
    statistics: Mapping[str, Sequence[float]] | None = None,
    trust: Trust = Trust.CANONICAL,
    weights: np.ndarray | None = None,
) -> dict[str, float]:
    """Score a task with the metrics it declares, in their order.

    Outputs that hold a NaN or infinity, as of a run that has diverged, make every score of the task NaN: no metric
    can make sense of them.

    Args:
        task: The task, its outputs known.
        name: Its name, for messages.
        outputs: Of the task's head [n, C], in the units of the labels; or what is kept of them for its metrics.
        labels: The labels, as the task encodes them.
        statistics: What metrics may read of the training rows, such as ``std`` [D] of each target for mse_z.
        trust: Whose code the metrics may run.
        weights: Weight of each row in the metrics, [n]; None: all weigh the same.

    Returns:
        Values by `metric_keys`; after a metric of outputs that are scored apart, one value for each: ``pearson_V``.

    Raises:
        DataError: If there is nothing to score, or a metric cannot be loaded or computed, or takes no weights.
        ValueError: If outputs and labels do not go together.
    """
    labels = np.asarray(labels)
    if len(labels) == 0:
        raise DataError(Mistake(f"tasks.{name}.dataset", "no rows to score", "Give the task a split with rows"))
    found = scorable(task, name, outputs)
    if len(found) != len(labels):
        raise ValueError(f"task '{name}': outputs of {len(labels)} rows expected, found {len(found)}")
    if found.broken:
        return dict.fromkeys(metric_keys(task), math.nan)
    scores: dict[str, float] = {}
    for key, spec in metric_keys(task).items():
        metric = load_metric(spec, task, statistics, f"tasks.{name}.metrics", trust, weights)
        measured = task.measure(metric, found, labels)
        scores |= {key + part.removeprefix(metric.key): value for part, value in measured.items()}
    return scores


def scorable(task: Task, name: str, outputs: np.ndarray | Outputs) -> Outputs:
    """Make what is scored of a head's outputs [n, C] or [n, ..., C], or leave what was made of them as it is.

    Args:
        task: The task.
        name: Its name, for messages.
        outputs: The outputs.

    Raises:
        ValueError: If there are not as many for a row as the task has.
    """
    if not isinstance(outputs, np.ndarray):
        return outputs
    if task.outputs_per != "row":
        if outputs.shape[-1] != task.num_outputs:
            raise ValueError(f"task '{name}': outputs of {task.num_outputs} numbers expected, found {outputs.shape}")
        return task.outputs_of(outputs)
    raw, expected = outputs.reshape(len(outputs), -1), (len(outputs), task.num_outputs)
    if raw.shape != expected:
        raise ValueError(f"task '{name}': outputs of shape {expected} expected, found {raw.shape}")
    return task.outputs_of(raw)
