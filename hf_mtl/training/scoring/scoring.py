"""Predictions of all tasks -> the dictionary that a Trainer logs, selects and stops on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from transformers import EvalPrediction

from hf_mtl.batch import divisor
from hf_mtl.data.row_weights import scaled_weights
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.evaluation import Trust, aggregate, score_notes, score_task
from hf_mtl.inference.predict import KeptOutputs, SplitPredictions
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task
from hf_mtl.tasks.scoring import Outputs
from hf_mtl.training.scoring.own_metrics import OwnMetrics, own_scores

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
        """Put them as the Trainer logs them: ``<prefix>_<task>_<metric>`` and ``<prefix>_average``."""
        named = {f"{task}_{key}": value for task, scores in self.tasks.items() for key, value in scores.items()}
        return {f"{prefix}_{key}": value for key, value in {**named, **self.together}.items()}

    def to_dict(self) -> dict[str, Any]:
        """Put them as ``results.json`` has them."""
        return {"tasks": self.tasks, **self.together, "notes": list(self.notes)}


@dataclass(frozen=True)
class TaskScores:
    """The scores of one task.

    Args:
        declared: Values by metric that the task declares; these are averaged.
        more: The user's own, and ``loss``.
        notes: What a reader should know beside the numbers, a sentence each.
    """

    declared: dict[str, float]
    more: dict[str, float]
    notes: list[str]


def needed(task: Task, split: EncodedSplit, own: OwnMetrics | None) -> KeptOutputs:
    """Return what must be kept of a task's outputs to score it, on the first process.

    Args:
        task: The task.
        split: The rows.
        own: The user's own metrics.
    """
    return KeptOutputs.to_score(task, split) if own is None else KeptOutputs.outputs(task, split, everywhere=False)


def score_split(
    task: Task,
    name: str,
    split: EncodedSplit,
    prediction: SplitPredictions,
    statistics: Mapping[str, Any] | None,
    own: OwnMetrics | None,
    trust: Trust,
) -> TaskScores:
    """Score one task by its rows that have a label.

    Args:
        task: The task.
        name: Its name.
        split: The rows that were predicted.
        prediction: What was predicted.
        statistics: Its training statistics, for metrics that need them.
        own: The user's own metrics.
        trust: Whose code the task's metrics may run.
    """
    outputs, labels, loss = prediction.outputs, split.scored_against, _mean_loss(split, prediction.losses)
    weights = split.weights
    if split.missing is not None:
        outputs, labels = outputs[split.scored], labels[split.scored]
        weights = None if weights is None else weights[split.scored]
    found: np.ndarray | Outputs = outputs if prediction.read is None else prediction.read(outputs)
    declared = score_task(task, name, found, labels, statistics, trust, weights)
    notes = score_notes(task, name, found, labels, declared)
    more = {}
    if own is not None:
        more = own_scores(own, EvalPrediction(task.as_predicted(outputs), labels.copy()), name)
        _warn_of_replaced(name, declared, more)
    return TaskScores(declared, {**more, "loss": loss}, notes)


def _mean_loss(split: EncodedSplit, losses: np.ndarray) -> float:
    """Return the task's loss over the rows that have a label: the sum of their losses over the sum of their masses.

    Where the metrics are weighted so is this mean: of the whole split it is no estimate that the weights' own mean
    could bias, as that of a step would be.
    """
    if split.missing is not None:
        losses = losses[split.scored]
    if split.masses is None and split.weights is None:
        return float(np.mean(losses, dtype=np.float64))
    masses = np.ones(len(losses)) if split.masses is None else split.masses[split.scored]
    weights = np.ones(len(losses)) if split.weights is None else scaled_weights(split.weights[split.scored])
    return float(np.sum(weights * losses, dtype=np.float64) / divisor(float((weights * masses).sum())))


def together(tasks: Mapping[str, Task], found: Mapping[str, TaskScores]) -> Scores:
    """Put the scores of the tasks together.

    Args:
        tasks: The model's tasks.
        found: The scores of those that have any.
    """
    if not found:
        return Scores({}, {})
    averages = aggregate(
        {name: scores.declared for name, scores in found.items()}, {name: tasks[name] for name in found}
    )
    loss = float(np.mean([scores.more["loss"] for scores in found.values()]))
    values = {name: {**scores.declared, **scores.more} for name, scores in found.items()}
    notes = [note for scores in found.values() for note in scores.notes]
    return Scores(values, {**averages, "loss": loss}, notes)


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
