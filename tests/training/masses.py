"""Encoded rows of the tiny world whose masses, or weights, are not 1."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from hf_mtl.data.tokens import EncodedSplit
from hf_mtl.inference.encode import encode_splits
from hf_mtl.tasks import Task
from tests import tiny


def encoded(sizes: dict[str, int], tasks: Mapping[str, Task] = tiny.TASKS, seed: int = 0) -> dict[str, EncodedSplit]:
    """One split of every task, each row of mass 1."""
    return encode_splits(tiny.datasets(sizes, seed), tasks, tiny.tokenizer(), None, "train")


def with_masses(
    splits: Mapping[str, EncodedSplit], masses: Callable[[str, int], np.ndarray] | None = None
) -> dict[str, EncodedSplit]:
    """The rows with masses of 1 to 5, drawn by task, or with those that a function gives for a task and its rows."""
    masses = masses or (lambda name, rows: np.random.default_rng([*name.encode()]).integers(1, 6, rows))
    return {name: replace(split, masses=masses(name, len(split))) for name, split in splits.items()}


def with_weights(
    splits: Mapping[str, EncodedSplit], weights: Callable[[str, int], np.ndarray] | None = None
) -> dict[str, EncodedSplit]:
    """The rows with weights from 0.2 to 5, drawn by task, or with those that a function gives, as for masses."""
    weights = weights or (lambda name, rows: 5.0 ** np.random.default_rng([1, *name.encode()]).uniform(-1, 1, rows))
    return {name: replace(split, weights=weights(name, len(split))) for name, split in splits.items()}
