"""What can be read off each layer: linear probes, and how the classes of a task cluster."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from hf_mtl.data.batch_sites import labels_of, sites_of
from hf_mtl.data.carve import draw
from hf_mtl.data.encoded import NO_CLASS
from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.evaluation import Trust, headline_keys, score_task
from hf_mtl.evaluation.classes import likeliest
from hf_mtl.evaluation.representations import cluster_agreement, probe_outputs, silhouette, site_probe_outputs
from hf_mtl.experiments.diagnose.features import Features, Heads, TaskFeatures
from hf_mtl.experiments.diagnose.subjects import TaskRows
from hf_mtl.inference.layer_features import LayerFeatures
from hf_mtl.modeling.sites import in_place
from hf_mtl.tasks import Task

MOST_SITES = 1000
"""Tokens whose distances are measured; all of them would take as many times their number."""


def probe_layers(features: Features, rows: Mapping[str, TaskRows], trust: Trust) -> list[dict[str, Any]]:
    """Fit a linear probe to each layer, for each run and task, and score it with the task's own metric.

    Args:
        features: By run and task.
        rows: The rows by task.
        trust: Whose code metrics may run.

    Returns:
        For each run and task with training rows: ``run``, ``task``, ``metric``, ``train_rows``, ``rows``, the score
        at each of ``layers``, that of ``chance``, a probe that sees nothing of a row, and that of the ``model`` on
        the same rows, None where it has no such task.
    """
    found = []
    for run, tasks in features.items():
        for name, item in tasks.items():
            if item.train is None or item.train_rows is None:
                continue
            task = rows[name].task
            statistics = task.training_statistics(item.train_rows.labels)
            key, scores = headline_keys(task)[0], []
            outputs = [*_probe(task, item), *([] if item.features.outputs is None else [item.features.outputs])]
            for made in outputs:
                values = score_task(task, name, made, item.rows.scored_against, statistics, trust, item.rows.weights)
                scores.append(values[key])
            chance, layers = scores.pop(0), len(item.features.rows)
            found.append(
                {
                    "run": run,
                    "task": name,
                    "metric": key,
                    "train_rows": len(item.train_rows),
                    "rows": len(item.rows),
                    "layers": scores[:layers],
                    "chance": chance,
                    "model": scores[layers] if len(scores) > layers else None,
                }
            )
    return found


def _probe(task: Task, item: TaskFeatures) -> Iterator[np.ndarray]:
    """Give the outputs for the rows that are compared: of a probe that sees nothing, then of one of each layer."""
    assert item.train is not None
    assert item.train_rows is not None
    if task.outputs_per == "row" and type(task).linear_outputs is not Task.linear_outputs:
        for train, scored in _and_nothing(item.train.rows, item.features.rows):
            yield probe_outputs(task, train, item.train_rows.labels, scored)
        return
    losses, placed = _Placed(task, item.train_rows), _Placed(task, item.rows)
    for train, scored in _and_nothing(_looked_at(item.train), _looked_at(item.features)):
        outputs = site_probe_outputs(task, train, losses, scored)
        yield placed.of_rows(torch.from_numpy(outputs)).numpy()


def _and_nothing(train: np.ndarray, scored: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield features that say nothing, and then those of each layer."""
    yield np.zeros_like(train[0, :, :1]), np.zeros_like(scored[0, :, :1])
    yield from zip(train, scored, strict=True)


def _looked_at(features: LayerFeatures) -> np.ndarray:
    """Return the vectors that a head looks at, [L + 1, U, H]."""
    return features.rows if features.sites is None else features.sites


class _Placed:
    """Losses of a task's rows from the outputs at all their sites."""

    def __init__(self, task: Task, split: EncodedSplit):
        every = np.arange(len(split))
        self.task, self.sites = task, sites_of(split, every)
        self.labels = labels_of(split, every, self.sites)

    def of_rows(self, outputs: torch.Tensor) -> torch.Tensor:
        """Put outputs at the sites [U, C] where they belong among the rows, [n, ..., C]."""
        return outputs if self.sites is None else in_place(outputs, self.sites, self.task.absent_output)

    def __call__(self, outputs: torch.Tensor) -> torch.Tensor:
        return self.task.row_losses(self.of_rows(outputs), self.labels)


def cluster_layers(features: Features, heads: Heads, rows: Mapping[str, TaskRows]) -> list[dict[str, Any]]:
    """Measure how the rows, or labelled tokens, of each class of a task lie together.

    Args:
        features: By run and task.
        heads: What the heads make of the rows.
        rows: The rows by task.

    Returns:
        For each run and task with one class for each row or token: ``run``, ``task``, ``points``, the ``silhouette``
        and the ``ari`` at each layer, and both of what the task's ``head`` makes of the rows; None for tokens.
    """
    found = []
    for run, tasks in features.items():
        for name, item in tasks.items():
            points = _points(rows[name].task, item)
            if points is None:
                continue
            layers, labels = points
            head = heads[run].get(name, {}).get(name)
            own = None if head is None else head.chosen(own=True)
            found.append(
                {
                    "run": run,
                    "task": name,
                    "points": len(labels),
                    "silhouette": [silhouette(layer, labels) for layer in layers],
                    "ari": [cluster_agreement(layer, labels) for layer in layers],
                    "head": None
                    if own is None
                    else {"silhouette": silhouette(own, labels), "ari": cluster_agreement(own, labels)},
                }
            )
    return found


def _points(task: Task, item: TaskFeatures) -> tuple[list[np.ndarray], np.ndarray] | None:
    """Return the features of each layer, and the class of each point; None where points are of no one class."""
    if task.outputs_are in ("classes", "ranks"):
        return list(item.features.rows), likeliest(item.rows.labels)
    if task.outputs_per != "token" or item.features.sites is None:
        return None
    labels = item.site_labels
    labelled = np.flatnonzero(labels != NO_CLASS)
    if len(labelled) > MOST_SITES:
        labelled = labelled[draw(len(labelled), MOST_SITES, seed=0)]
    return [layer[labelled] for layer in item.features.sites], labels[labelled]


def task_silhouettes(features: Features) -> list[dict[str, Any]]:
    """Measure how far the rows of different tasks lie apart, at each layer of each run.

    Args:
        features: By run and task.

    Returns:
        For each run: ``run`` and the mean ``silhouette`` of the rows by task at each layer; none for one task.
    """
    found = []
    for run, tasks in features.items():
        if len(tasks) < 2:
            continue
        whose = np.repeat(np.arange(len(tasks)), [len(item.rows) for item in tasks.values()])
        layers = np.concatenate([item.features.rows for item in tasks.values()], axis=1)
        found.append({"run": run, "silhouette": [silhouette(layer, whose) for layer in layers]})
    return found
