"""Notes for a reader of a task's scores."""

from collections.abc import Mapping

import numpy as np

from hf_mtl.errors import name_classes
from hf_mtl.evaluation.scores import scorable
from hf_mtl.evaluation.undefined import undefined_metrics
from hf_mtl.tasks import Task
from hf_mtl.tasks.scoring import Outputs


def score_notes(
    task: Task, name: str, outputs: np.ndarray | Outputs, labels: np.ndarray, scores: Mapping[str, float]
) -> list[str]:
    """Say what is behind scores that are undefined, or that look like scores and are none.

    Args:
        task: The task, its outputs known.
        name: Its name.
        outputs: Of its head [n, C], or what is kept of them.
        labels: The labels.
        scores: The task's scores.

    Returns:
        Sentences: outputs that are not finite, metrics that the labels leave undefined, classes that no row has, and
        predictions that are the same for every row where the labels are not.
    """
    found = scorable(task, name, outputs)
    if found.broken:
        return [f"{name}: {found.broken:,} of {len(found):,} outputs are not finite, so it has no scores."]
    undefined = undefined_metrics(task, name, labels, "scored")
    notes = [f"{name}: {mistake.problem}." for mistake in undefined]
    if not undefined and any(np.isnan(value) for value in scores.values()):
        keys = ", ".join(key for key, value in scores.items() if np.isnan(value))
        notes.append(f"{name}: {keys} is undefined here; average leaves it out where the task has another metric.")
    if absent := task.absent(labels):
        shown = name_classes([f"'{label}'" for label in absent], 20)
        notes.append(f"{name}: no scored row is of class {shown}, which counts 0 in the mean over classes.")
    return [*notes, *(f"{name}: {note}" for note in task.sameness(found, labels))]
