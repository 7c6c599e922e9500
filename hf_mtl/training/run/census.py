"""Counts of what is in the splits of a task: rows, classes, and texts that come again."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.encoded import EncodedLabels
from hf_mtl.data.labels import encode_labels
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.data.train_notes import class_counts
from hf_mtl.reporting.plan import SplitCensus, TaskCensus

Groups = NDArray[np.int64]


def take_census(name: str, item: LoadedTask) -> TaskCensus:
    """Count what is in the splits of a task."""
    task = item.task
    labels = {split: encode_labels(task, name, split, dataset) for split, dataset in item.splits.items()}
    counts = {split: class_counts(task, found) for split, found in labels.items()}
    classes = _by_name(task.label_names or [], counts)
    told = {split: task.unknown_counts(found.values[~found.missing]) for split, found in labels.items()}
    unknown = {label: counts for label, counts in _by_name(task.output_names, told).items() if any(counts.values())}
    return TaskCensus(name, _splits(item, labels), classes, task.is_weighted, task.weights_key, unknown)


def _by_name(names: Sequence[str], counts: Mapping[str, np.ndarray | None]) -> dict[str, dict[str, int]]:
    """Order counts by class or target; nothing of splits for which there are none."""
    there = {split: found for split, found in counts.items() if found is not None}
    return {label: {split: int(found[index]) for split, found in there.items()} for index, label in enumerate(names)}


def _splits(item: LoadedTask, labels: Mapping[str, EncodedLabels]) -> dict[str, SplitCensus]:
    """Count the texts that come again."""
    sizes = [len(item.keys[split].rows) for split in labels]
    texts, groups = np.unique(np.concatenate([item.keys[split].rows for split in labels]), return_inverse=True)
    twofold = _with_several(groups, _codes([found.values for found in labels.values()]))
    members = dict(zip(labels, np.split(groups, np.cumsum(sizes)[:-1]), strict=True))
    found: dict[str, SplitCensus] = {}
    holds: dict[str, NDArray[np.bool_]] = {}
    for split, mine in members.items():
        shared = {other: int(has[mine].sum()) for other, has in holds.items()}
        holds[split] = np.zeros(len(texts), dtype=bool)
        holds[split][mine] = True
        again = len(mine) - int(holds[split].sum())
        found[split] = SplitCensus(len(mine), again, shared, int(twofold[mine].sum()))
    return found


def _codes(labels: list[np.ndarray]) -> Groups:
    """Return a number for each label, or for each row of targets."""
    values = np.concatenate(_as_wide(labels))
    if values.dtype.kind == "f":  # NaN, a target that is not given, is to equal itself; no target is infinite
        values = np.where(np.isnan(values), np.inf, values)
    return np.unique(values, axis=0, return_inverse=True)[1].reshape(-1)


def _as_wide(labels: list[np.ndarray]) -> list[np.ndarray]:
    """Give the labels of all splits the width of the widest: rows have as many places as the longest of their split.

    What stands in a place that a row does not have is negative, whichever number its type says it with.
    """
    if labels[0].ndim < 2 or labels[0].dtype.kind != "i":
        return labels
    most = max(values.shape[1] for values in labels)
    rest = [(0, 0)] * (labels[0].ndim - 2)
    return [
        np.pad(np.maximum(values, -1), [(0, 0), (0, most - values.shape[1]), *rest], constant_values=-1)
        for values in labels
    ]


def _with_several(groups: Groups, codes: Groups) -> NDArray[np.bool_]:
    """Tell which texts have more than one label, bool [texts].

    Args:
        groups: Number of each row's text, from 0 on without a gap, [n].
        codes: Number of each row's label, [n].
    """
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(groups.max() + 1))
    least, most = (reduce.reduceat(codes[order], starts) for reduce in (np.minimum, np.maximum))
    found: NDArray[np.bool_] = least != most
    return found
