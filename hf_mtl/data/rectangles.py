"""Rows that stand end to end as padded rectangles: which rows share one, and where their tokens are in it."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hf_mtl.batch import Cut, Rectangles

Rows = NDArray[np.int64]


def length_groups(lengths: NDArray[np.int64], group_cost: int) -> list[Rows]:
    """Split rows into groups of similar length with the least padded tokens plus a fixed cost per group.

    Exact, by dynamic programming over the distinct lengths: an optimal grouping is contiguous in length.

    Args:
        lengths: Tokens of each row, [B].
        group_cost: Cost of one group, in tokens.

    Returns:
        Row indices of each group, shortest group first.
    """
    order = np.argsort(lengths, kind="stable")
    distinct, counts = np.unique(lengths, return_counts=True)
    ends = np.concatenate([[0], np.cumsum(counts)])
    best = np.zeros(len(ends))
    cut = np.zeros(len(ends), dtype=np.int64)
    for stop in range(1, len(ends)):
        # A group of the rows [ends[start], ends[stop]) is padded to its longest, distinct[stop - 1].
        costs = best[:stop] + (ends[stop] - ends[:stop]) * distinct[stop - 1] + group_cost
        cut[stop] = int(costs.argmin())
        best[stop] = costs[cut[stop]]
    groups, stop = [], len(ends) - 1
    while stop > 0:
        groups.append(order[ends[cut[stop]] : ends[stop]])
        stop = int(cut[stop])
    return groups[::-1]


def rectangles_of(
    lengths: NDArray[np.int64], groups: Sequence[Rows], pad_id: int, tasks: Rows | None = None
) -> Rectangles:
    """Say where tokens are once each group of rows is a padded rectangle, one after the other.

    Args:
        lengths: Tokens of each row, [R].
        groups: Rows of each rectangle, in its order; each row is in one of them.
        pad_id: Token id of padding.
        tasks: Task of each row, [R], where the rows of a group are ordered by task.
    """
    starts = np.cumsum(lengths) - lengths
    place = np.empty(int(lengths.sum()), dtype=np.int64)
    sources, masks, shapes, first = [], [], [], 0
    for group in groups:
        width = int(lengths[group].max())
        column = np.arange(width)
        real = column < lengths[group][:, None]
        whole = bool(real.all())
        source = starts[group][:, None] + (column if whole else np.where(real, column, 0))
        place[source[real]] = first + np.flatnonzero(real)
        shapes.append((len(group), width))
        sources.append(source.ravel())
        masks.append(None if whole else torch.from_numpy(real))
        first += source.size
    source = np.concatenate(sources)
    as_they_are = len(source) == len(place) and bool((source == np.arange(len(source))).all())
    found: Rectangles = {
        "shapes": shapes,
        "source": None if as_they_are else torch.from_numpy(source),
        "place": None if as_they_are else torch.from_numpy(place),
        "masks": masks,
        "pad_id": pad_id,
    }
    if tasks is not None:
        found["cuts"] = [cut_by_task(tasks[group]) for group in groups]
    return found


def cut_by_task(tasks: Rows) -> Cut:
    """Return where the rows of each task are, among rows that are ordered by task: (task, first, last + 1).

    Args:
        tasks: Task index of each row, ascending [b].
    """
    found, starts = np.unique(tasks, return_index=True)
    stops = [*starts[1:], len(tasks)]
    return [(int(task), int(start), int(stop)) for task, start, stop in zip(found, starts, stops, strict=True)]
