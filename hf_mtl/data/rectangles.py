"""Rows that stand end to end as padded rectangles: which rows share one, and where their tokens are in it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_mtl.batch import Cut, Rectangles

RUN_COST = 32
"""What one more rectangle costs on a CPU where attention alone is padded, in tokens."""


def default_run_cost(device: torch.device) -> int:
    """Return what one more rectangle costs on a device where attention alone is padded, in tokens.

    On an accelerator it is the time in which some twenty kernels of each layer are started, about 0.1 ms, in which
    they copy and attend to some thousand padded places. This is worked out from their sizes, and not measured yet.
    """
    return RUN_COST if device.type == "cpu" else 8192


def default_group_cost(device: torch.device) -> int:
    """Return what one more length group costs on a device, in tokens.

    On a CPU it is little beside the arithmetic. On an accelerator it is the time in which the kernels of all layers
    are started. An H100 took 290 ms for a step of MiniLM with a cost of 64, and the Trainer 80 ms for one rectangle.
    """
    return 64 if device.type == "cpu" else 16_384


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
    order = by_length(lengths)
    counts = np.bincount(lengths)
    distinct = np.flatnonzero(counts)
    ends = [0, *np.cumsum(counts[distinct]).tolist()]
    starts = _cheapest_cuts(distinct.tolist(), ends, group_cost)
    return [order[ends[start] : ends[stop]] for start, stop in pairwise([*starts, len(distinct)])]


def by_length(lengths: NDArray[np.integer[Any]]) -> Rows:
    """Return the rows by length, short ones first, rows of one length in their order."""
    # Sorting 16 bits is sorting by digits, many times as fast as comparing.
    small = lengths.astype(np.uint16) if lengths.max(initial=0) < 1 << 16 else lengths
    return np.argsort(small, kind="stable")


def _cheapest_cuts(lengths: Sequence[int], ends: Sequence[int], group_cost: int) -> list[int]:
    """Return where each group of the cheapest grouping starts, ascending, as places in the distinct lengths.

    A group of the lengths start to stop - 1 costs (ends[stop] - ends[start]) x lengths[stop - 1] + group_cost. As a
    function of that longest length, what ends with the group costs a line with slope -ends[start], but for what all
    starts share. Later starts have steeper lines, and lengths grow: a line that has been undercut once never comes
    back, and one pass finds the lowest line of each length.

    Args:
        lengths: The distinct lengths, ascending [D].
        ends: Rows that are shorter than each of them, and all rows, [D + 1].
        group_cost: Cost of one group, in tokens.
    """
    best, cut = [0], [0]
    lines: list[int] = []  # starts that are lowest somewhere, in the order in which they become so
    lowest = 0
    for stop, length in enumerate(lengths, start=1):
        _add_line(lines, lowest, stop - 1, best, ends)
        lowest = min(lowest, len(lines) - 1)
        while lowest + 1 < len(lines):
            one, other = lines[lowest], lines[lowest + 1]
            if best[other] - ends[other] * length >= best[one] - ends[one] * length:
                break
            lowest += 1
        start = lines[lowest]
        cut.append(start)
        best.append(best[start] + (ends[stop] - ends[start]) * length + group_cost)
    found, stop = [], len(lengths)
    while stop > 0:
        stop = cut[stop]
        found.append(stop)
    return found[::-1]


def _add_line(lines: list[int], lowest: int, start: int, best: Sequence[int], ends: Sequence[int]) -> None:
    """Add the line of a start, and drop those before it that are then lowest nowhere."""
    while len(lines) - lowest >= 2:
        first, middle = lines[-2], lines[-1]
        # The middle line is lowest nowhere if the new one meets the first before the middle one does.
        reached = (best[start] - best[first]) * (ends[middle] - ends[first])
        if reached > (best[middle] - best[first]) * (ends[start] - ends[first]):
            break
        lines.pop()
    lines.append(start)


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
    rows = np.concatenate(groups)
    counts = np.array([len(group) for group in groups])
    firsts = np.cumsum(counts) - counts
    widths, least = (kind.reduceat(lengths[rows], firsts) for kind in (np.maximum, np.minimum))
    found: Rectangles = {
        "shapes": list(zip(counts.tolist(), widths.tolist(), strict=True)),
        "source": None,
        "place": None,
        "masks": [None] * len(groups),
        "pad_id": pad_id,
    }
    if tasks is not None:
        found["cuts"] = _cuts(tasks[rows], firsts)
    whole = widths == least
    if whole.all() and bool((rows[1:] > rows[:-1]).all()):
        return found  # the tokens as they are
    of_rows = np.repeat(widths, counts)
    # Where each row begins in the rectangles, by row.
    begins = np.empty_like(lengths)
    begins[rows] = np.cumsum(of_rows) - of_rows
    starts = np.cumsum(lengths) - lengths
    tokens = np.arange(int(lengths.sum()))
    place = tokens + np.repeat(begins - starts, lengths)
    # Padding places keep their row's first token.
    source = np.repeat(starts[rows], of_rows)
    source[place] = tokens
    found["source"], found["place"] = torch.from_numpy(source), torch.from_numpy(place)
    if not whole.all():
        found["masks"] = _masks(place, found["shapes"], whole.tolist())
    return found


def _masks(place: Rows, shapes: Sequence[tuple[int, int]], whole: Sequence[bool]) -> list[Tensor | None]:
    """Return the mask of each rectangle; None where there is no padding."""
    sizes = [rows * width for rows, width in shapes]
    real = torch.zeros(sum(sizes), dtype=torch.bool)
    real.numpy()[place] = True
    parts = zip(real.split(sizes), shapes, whole, strict=True)
    return [None if is_whole else part.view(shape) for part, shape, is_whole in parts]


def _cuts(tasks: Rows, firsts: Rows) -> list[Cut]:
    """Cut each rectangle by task, in one go: there can be hundreds.

    Args:
        tasks: Task of each row, rectangle after rectangle [R].
        firsts: First row of each rectangle.
    """
    changes = np.flatnonzero(tasks[1:] != tasks[:-1]) + 1
    starts = np.union1d(firsts, changes)
    rectangles = np.searchsorted(firsts, starts, side="right") - 1
    stops = np.append(starts[1:], len(tasks))
    found: list[Cut] = [[] for _ in firsts]
    within = (tasks[starts], starts - firsts[rectangles], stops - firsts[rectangles])
    for rectangle, *run in zip(rectangles.tolist(), *(values.tolist() for values in within), strict=True):
        found[rectangle].append((run[0], run[1], run[2]))
    return found


def cut_by_task(tasks: Rows) -> Cut:
    """Return where the rows of each task are, among rows that are ordered by task: (task, first, last + 1).

    Args:
        tasks: Task index of each row, ascending [b].
    """
    starts = [0, *(np.flatnonzero(tasks[1:] != tasks[:-1]) + 1).tolist()]
    return list(zip(tasks[starts].tolist(), starts, [*starts[1:], len(tasks)], strict=True))
