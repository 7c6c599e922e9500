"""How alike layers, tasks and runs are: CKA on the same rows, and the subspaces of different ones."""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np

from hf_mtl.evaluation.representations import Subspace, cka_matrices
from hf_mtl.experiments.diagnose.features import Features, Heads, TaskFeatures

DIRECTIONS = 15
"""Main directions of each task's features that are compared."""


def layer_likeness(features: Features) -> list[dict[str, Any]]:
    """Compare the layers of each run with each other, and with those of each other run, on the same rows.

    Args:
        features: By run and task.

    Returns:
        For each pair of runs, and each run with itself: ``a``, ``b``, ``rows``, and the matrices ``linear`` and
        ``debiased``, a row for each layer of a. Of pairs with as many layers also ``by_task``: the debiased CKA of
        each layer with the same layer of the other run, on each task's rows.
    """
    together = {run: _all_rows(tasks) for run, tasks in features.items()}
    found = []
    for a, b in combinations_with_replacement(features, 2):
        linear, debiased = cka_matrices(together[a], together[b] if a != b else together[a])
        pair = {"a": a, "b": b, "rows": len(together[a][0]), "linear": linear, "debiased": debiased}
        if a != b and len(together[a]) == len(together[b]):
            pair["by_task"] = {
                name: [
                    float(cka_matrices([x], [y])[1][0, 0])
                    for x, y in zip(features[a][name].features.rows, features[b][name].features.rows, strict=True)
                ]
                for name in features[a]
            }
        found.append(pair)
    return found


def _all_rows(tasks: Mapping[str, TaskFeatures]) -> list[np.ndarray]:
    """Return the rows of all tasks after each layer."""
    return list(np.concatenate([found.features.rows for found in tasks.values()], axis=1))


def subspace_likeness(features: Features) -> list[dict[str, Any]]:
    """Compare the main directions of the features of different tasks in one run, and of one task in two runs.

    Args:
        features: By run and task.

    Returns:
        For each pair: ``a`` and ``b``, each a run and a task, and ``layers``, a `SubspaceAlignment` each. Runs whose
        encoders differ in width or number of layers have no pair.
    """
    made = {
        (run, task): [Subspace.of(layer) for layer in found.features.rows]
        for run, tasks in features.items()
        for task, found in tasks.items()
    }
    found = []
    for a, b in combinations(made, 2):
        within, between = a[0] == b[0], a[1] == b[1]
        sizes = [(len(made[key]), made[key][0].centred.shape[1]) for key in (a, b)]
        if within != between and sizes[0] == sizes[1]:
            layers = [asdict(x.aligned(y, DIRECTIONS)) for x, y in zip(made[a], made[b], strict=True)]
            found.append({"a": list(a), "b": list(b), "layers": layers})
    return found


def head_likeness(heads: Heads) -> list[dict[str, Any]]:
    """Compare what the heads of a run make of the same rows, those of all its tasks.

    Args:
        heads: What they make of them, by run and by the task whose rows they are.

    Returns:
        For each run with two such tasks or more: ``run``, ``tasks``, ``rows``, what the ``features`` of each task
        are, and the matrices ``linear`` and ``debiased``.
    """
    found = []
    for run, by_rows in heads.items():
        if len(by_rows) < 2:
            continue
        tasks, parts = list(by_rows), list(by_rows.values())
        # Where a head reads the same as another on some task's rows, its outputs are compared on all rows.
        own = {task: all(part[task].own is not None for part in parts) for task in tasks}
        joined = [np.concatenate([part[task].chosen(own[task]) for part in parts]) for task in tasks]
        linear, debiased = cka_matrices(joined, joined)
        words = {task: "what its last layer reads" if own[task] else "its outputs" for task in tasks}
        facts = {"run": run, "tasks": tasks, "rows": len(joined[0]), "features": words}
        found.append({**facts, "linear": linear, "debiased": debiased})
    return found
