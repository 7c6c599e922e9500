"""Predictions of all tasks -> the dictionary that a Trainer logs, selects and stops on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import EvalPrediction

from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.evaluation import aggregate, score_task
from hf_mtl.tasks import Task
from hf_mtl.training.evaluate import SplitPredictions


@dataclass(frozen=True)
class Scores:
    """The scores of one evaluation.

    Args:
        tasks: Values by task and metric, ``loss`` among them.
        together: ``average``, ``macro``, ``worst``, and ``loss``, the mean over tasks.
    """

    tasks: dict[str, dict[str, float]]
    together: dict[str, float]

    def flat(self, prefix: str) -> dict[str, float]:
        """As the Trainer logs them: ``<prefix>_<task>_<metric>`` and ``<prefix>_average``."""
        named = {f"{task}_{key}": value for task, scores in self.tasks.items() for key, value in scores.items()}
        return {f"{prefix}_{key}": value for key, value in {**named, **self.together}.items()}

    def to_dict(self) -> dict[str, Any]:
        """As ``results.json`` has them."""
        return {"tasks": self.tasks, **self.together}


def score_splits(
    tasks: Mapping[str, Task],
    splits: Mapping[str, EncodedSplit],
    predictions: Mapping[str, SplitPredictions],
    statistics: Mapping[str, Mapping[str, Any]],
    compute_metrics: Callable[[EvalPrediction], Mapping[str, float]] | None,
) -> Scores:
    """Score every task, and all of them together.

    Args:
        tasks: The model's tasks.
        splits: The rows that were predicted.
        predictions: What was predicted.
        statistics: Training statistics by task, for metrics that need them.
        compute_metrics: The user's own metrics, called for each task.
    """
    scores: dict[str, dict[str, float]] = {}
    predictions = {name: item for name, item in predictions.items() if splits[name].labelled}
    if not predictions:
        return Scores({}, {})
    for name, prediction in predictions.items():
        rows = splits[name].scored
        outputs, labels = prediction.outputs[rows], splits[name].labels[rows]
        scores[name] = score_task(tasks[name], name, outputs, labels, statistics.get(name))
    together = aggregate(scores, {name: tasks[name] for name in scores})
    for name, prediction in predictions.items():
        rows = splits[name].scored
        if compute_metrics is not None:
            scores[name] |= compute_metrics(EvalPrediction(prediction.outputs[rows], splits[name].labels[rows]))
        scores[name]["loss"] = float(np.mean(prediction.losses[rows], dtype=np.float64))
    together["loss"] = float(np.mean([values["loss"] for values in scores.values()]))
    return Scores(scores, together)
