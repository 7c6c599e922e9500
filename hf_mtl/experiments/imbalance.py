"""Training splits of a given imbalance between tasks, each with the class distribution that it had."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.stratified import stratified_rows
from hf_mtl.errors import UserError
from hf_mtl.experiments.mixture_fit import share_distances


@dataclass(frozen=True)
class Imbalance:
    """Training rows of every task, of which a ratio says how many are left.

    Args:
        ratio: r_t of each task.
        unit: Rows of a task with r_t = 1.
        rows: Row numbers of each task's training split, ascending, [r_t * unit].
        total_variation: ½ Σ|q_t - p_t| of the shares of rows q from the shares p of the ratio.
        kl: KL(q || p), nats.
    """

    ratio: dict[str, int]
    unit: int
    rows: dict[str, NDArray[np.int64]]
    total_variation: float
    kl: float


def imbalance_unit(sizes: Mapping[str, int], ratio: Mapping[str, int]) -> int:
    """Count the rows of a task with r_t = 1: the most that all tasks can give, min_t floor(N_t / r_t).

    Args:
        sizes: Training rows N_t of each task.
        ratio: r_t of each task, at least 1.

    Raises:
        UserError: If the ratio is of other tasks, is not at least 1, or asks more rows of a task than it has.
    """
    if ratio.keys() != sizes.keys() or not sizes:
        raise UserError(f"imbalance: the ratio is of {sorted(ratio)}, the tasks are {sorted(sizes)}; name the same")
    if wrong := [f"{name}: {ratio[name]}" for name in ratio if ratio[name] < 1]:
        raise UserError(f"imbalance: the ratio must be at least 1; found {', '.join(wrong)}")
    if small := [f"{name} has {sizes[name]} for {ratio[name]}" for name in sizes if sizes[name] < ratio[name]]:
        raise UserError(f"imbalance: too few training rows; {', '.join(small)}")
    return min(sizes[name] // ratio[name] for name in sizes)


def imbalanced_rows(
    strata: Mapping[str, NDArray[np.integer]], ratio: Mapping[str, int], seed: int, unit: int | None = None
) -> Imbalance:
    """Choose training rows of every task so that the tasks' sizes have a ratio and each keeps its distribution.

    The rows of a class are the first of a permutation that depends on seed, task and class alone: of the draws of two
    sizes one holds the other, class by class, and another task changes nothing. For the training
    split only; validation and test stay as they are.

    Source: the construction of IR in "Few-Task Imbalanced Multi-Task Learning via Alternating Optimization". Departs
    from its code, which does not stratify, and never repeats rows of the large tasks.

    Args:
        strata: Stratum of each of a task's training rows, such as its class, int [N_t]; `Task.strata` gives it.
        ratio: r_t of each task, such as ``{"sentiment": 8, "emotion": 1, "irony": 1}``.
        seed: Seed of the draw.
        unit: Rows of a task with r_t = 1, at most `imbalance_unit`, which is the default.

    Raises:
        UserError: If the ratio does not fit the tasks (`imbalance_unit`), or they have too few rows for ``unit``.
    """
    largest = imbalance_unit({name: len(values) for name, values in strata.items()}, ratio)
    unit = largest if unit is None else unit
    if not 1 <= unit <= largest:
        raise UserError(f"imbalance: found a unit of {unit} rows; allowed with these tasks: 1 to {largest}")
    rows = {name: stratified_rows(name, values, ratio[name] * unit, seed) for name, values in strata.items()}
    drawn = np.array([len(rows[name]) for name in ratio], dtype=np.float64)
    parts = np.array(list(ratio.values()), dtype=np.float64)
    return Imbalance(dict(ratio), unit, rows, *share_distances(drawn, parts / parts.sum()))
