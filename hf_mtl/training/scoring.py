"""Predictions of all tasks -> the dictionary that a Trainer logs, selects and stops on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from transformers import EvalPrediction

from hf_mtl.data.processes import is_main_process
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.evaluation import Trust, aggregate, score_notes, score_task
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task
from hf_mtl.training.evaluate import SplitPredictions
from hf_mtl.training.own_metrics import OwnMetrics, own_scores

logger = get_logger(__name__)


@dataclass(frozen=True)
class Scores:
    """The scores of one evaluation.

    Args:
        tasks: Values by task and metric, ``loss`` among them.
        together: ``average``, ``macro``, ``worst``, and ``loss``, the mean over tasks.
        notes: What a reader should know beside the numbers, a sentence each.
    """

    tasks: dict[str, dict[str, float]]
    together: dict[str, float]
    notes: list[str] = field(default_factory=list)

    def flat(self, prefix: str) -> dict[str, float]:
        """As the Trainer logs them: ``<prefix>_<task>_<metric>`` and ``<prefix>_average``."""
        named = {f"{task}_{key}": value for task, scores in self.tasks.items() for key, value in scores.items()}
        return {f"{prefix}_{key}": value for key, value in {**named, **self.together}.items()}

    def to_dict(self) -> dict[str, Any]:
        """As ``results.json`` has them."""
        return {"tasks": self.tasks, **self.together, "notes": list(self.notes)}


def score_splits(
    tasks: Mapping[str, Task],
    splits: Mapping[str, EncodedSplit],
    predictions: Mapping[str, SplitPredictions],
    statistics: Mapping[str, Mapping[str, Any]],
    compute_metrics: OwnMetrics | None,
    trust: Trust = Trust.CANONICAL,
) -> Scores:
    """Score every task, and all of them together.

    Args:
        tasks: The model's tasks.
        splits: The rows that were predicted.
        predictions: What was predicted.
        statistics: Training statistics by task, for metrics that need them.
        compute_metrics: The user's own metrics, called for each task.
        trust: Whose code the tasks' metrics may run.
    """
    scores: dict[str, dict[str, float]] = {}
    predictions = {name: item for name, item in predictions.items() if splits[name].labelled}
    if not predictions:
        return Scores({}, {})
    notes: list[str] = []
    for name, prediction in predictions.items():
        rows = splits[name].scored
        outputs, labels = prediction.outputs[rows], splits[name].labels[rows]
        scores[name] = score_task(tasks[name], name, outputs, labels, statistics.get(name), trust)
        notes += score_notes(tasks[name], name, outputs, labels, scores[name])
    together = aggregate(scores, {name: tasks[name] for name in scores})
    for name, prediction in predictions.items():
        rows = splits[name].scored
        if compute_metrics is not None:
            found = own_scores(
                compute_metrics, EvalPrediction(prediction.outputs[rows], splits[name].labels[rows]), name
            )
            if is_main_process():
                _warn_of_replaced(name, scores[name], found)
            scores[name] |= found
        scores[name]["loss"] = float(np.mean(prediction.losses[rows], dtype=np.float64))
    together["loss"] = float(np.mean([values["loss"] for values in scores.values()]))
    return Scores(scores, together, notes)


def _warn_of_replaced(name: str, scores: Mapping[str, float], found: Mapping[str, float]) -> None:
    """Say which of the user's own metrics take the name of one that is there already."""
    for key in found:
        if key in scores:
            logger.warning_once(
                f"compute_metrics returns '{key}', which is also a metric of '{name}': its value is reported, and "
                "average, macro and worst keep the built-in one. Give it another name."
            )
        elif key == "loss":
            logger.warning_once(f"compute_metrics returns 'loss', and hf_mtl's own loss of '{name}' is reported.")
