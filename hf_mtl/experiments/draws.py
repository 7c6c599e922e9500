"""Rows of a split for the runs of a study."""

from collections.abc import Mapping

import numpy as np

from hf_mtl.data.tokens import EncodedSplit

Splits = dict[str, EncodedSplit]


def draw(splits: Splits, rows: Mapping[str, int], seed: int) -> Splits:
    """Draw training rows of every task: others for each seed, the same in all arms.

    A smaller draw is the beginning of a larger one, and another task changes nothing.

    Args:
        splits: The rows of every task.
        rows: How many of each task; at most all.
        seed: Seed of the runs.
    """
    found = {}
    for task, split in splits.items():
        order = np.random.default_rng([seed, *task.encode()]).permutation(len(split))
        found[task] = split.select(order[: rows[task]])
    return found


def sample(splits: Splits, count: int) -> Splits:
    """Keep at most so many rows of every task to score on, the same in every run, in their order."""
    return {
        task: split.select(np.sort(np.random.default_rng(1).permutation(len(split))[:count]))
        for task, split in splits.items()
    }
