"""Trials of metrics that are not ours, before anything is trained: their code may fail."""

import numpy as np

from hf_mtl.errors import DataError, Mistake
from hf_mtl.evaluation.foreign import Trust
from hf_mtl.evaluation.loading import forget_loaded
from hf_mtl.evaluation.registry import METRICS
from hf_mtl.evaluation.scores import score_task
from hf_mtl.tasks import Task


def try_metrics(
    task: Task, name: str, labels: np.ndarray, trust: Trust, tried: set[tuple[str, str]]
) -> list[Mistake]:
    """Load a task's metrics that are not ours, and compute them once.

    What was loaded stays for the evaluations that follow: a run that has begun waits for no network.

    Args:
        task: The task, its classes known.
        name: Its name.
        labels: Labels of the rows to score.
        trust: Whose code may be run.
        tried: Tasks and metrics that need no second trial; takes those that have passed.

    Returns:
        A mistake for each that cannot be loaded, or that cannot score the task.
    """
    mistakes: list[Mistake] = []
    for spec in task.metrics:
        if spec.name in METRICS or (name, spec.name) in tried:
            continue
        forget_loaded(spec.name)  # the script may be another by now
        alone = task.model_copy(update={"metrics": [spec]})
        try:
            score_task(alone, name, task.perfect_outputs(labels), labels, None, trust)
        except DataError as error:
            mistakes += error.mistakes
        else:
            tried.add((name, spec.name))
    return mistakes
