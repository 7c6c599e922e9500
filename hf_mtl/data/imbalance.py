"""Training splits of a given imbalance between tasks, each with the class distribution that it had."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from hf_mtl.data.section import RATIO, ImbalanceSpec
from hf_mtl.data.stratified import stratified_rows
from hf_mtl.errors import DataError, Mistake

_UNIT = "data.imbalance.unit"


class Distances(NamedTuple):
    """Distances of shares q from a target p.

    Args:
        total_variation: ½ Σ|q - p|, in [0, 1].
        kl: KL(q || p) = Σ q log(q / p), nats.
    """

    total_variation: float
    kl: float


@dataclass(frozen=True)
class Imbalance:
    """Training rows of every task, of which a ratio says how many are left.

    Args:
        ratio: r_t of each task.
        unit: Rows of a task with r_t = 1.
        rows: Row numbers of each task's training split, ascending, [r_t * unit].
        found: Training rows N_t that each task had.
        distances: Of the tasks' shares of all rows from those of the ratio.
        strata: Of the shares of strata, such as classes, among a task's rows from those that they had, by task.
    """

    ratio: dict[str, int]
    unit: int
    rows: dict[str, NDArray[np.int64]]
    found: dict[str, int]
    distances: Distances
    strata: dict[str, Distances] = field(default_factory=dict)

    def sentence(self) -> str:
        """Say what was built, and how close it is to what was asked for."""
        names = ", ".join(self.ratio)
        counts = ", ".join(f"{len(rows):,}" for rows in self.rows.values())
        away, kl = self.distances
        return (
            f"{':'.join(map(str, self.ratio.values()))} of {names}: {counts} rows, {self.unit:,} to a part; total "
            f"variation {away:.2g} and KL divergence {kl:.2g} from the ratio, within tasks at most "
            f"{max(found.total_variation for found in self.strata.values()):.2g} and "
            f"{max(found.kl for found in self.strata.values()):.2g}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what ``results.json`` keeps."""
        return {
            "ratio": self.ratio,
            "unit": self.unit,
            "rows": {name: len(rows) for name, rows in self.rows.items()},
            "found": self.found,
            **self.distances._asdict(),
            "within_tasks": {name: found._asdict() for name, found in self.strata.items()},
        }


def share_distances(counts: NDArray[np.float64], target: NDArray[np.float64]) -> Distances:
    """Compare shares with those that were wanted.

    Args:
        counts: What the shares q are of, [T].
        target: The shares p that were wanted, summing to 1, [T].
    """
    shares = counts / counts.sum()
    kl = float(rel_entr(shares, target).sum())
    return Distances(float(np.abs(shares - target).sum() / 2), max(kl, 0.0))  # rounding can leave -1e-17


def imbalance_unit(sizes: Mapping[str, int], ratio: Mapping[str, int]) -> int:
    """Count the rows of a task with r_t = 1: the most that all tasks can give, min_t floor(N_t / r_t).

    Args:
        sizes: Training rows N_t of each task.
        ratio: r_t of each task, at least 1.

    Raises:
        DataError: If the ratio is of other tasks, is not at least 1, or asks more rows of a task than it has.
    """
    if ratio.keys() != sizes.keys() or not sizes:
        found = f"is of {', '.join(sorted(ratio))}; the tasks are {', '.join(sorted(sizes))}"
        raise DataError(Mistake(RATIO, found, "Name the same."))
    if wrong := [f"{name}: {ratio[name]}" for name in ratio if ratio[name] < 1]:
        raise DataError(Mistake(RATIO, f"found {', '.join(wrong)}", "Allowed: at least 1."))
    if small := [name for name in sizes if sizes[name] < ratio[name]]:
        raise DataError(
            Mistake(f"{RATIO}.{name}", f"is {ratio[name]}, and {name} has {sizes[name]:,} training rows")
            for name in small
        )
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
        DataError: If the ratio does not fit the tasks (`imbalance_unit`), or they have too few rows for ``unit``.
    """
    sizes = {name: len(values) for name, values in strata.items()}
    largest = imbalance_unit(sizes, ratio)
    unit = largest if unit is None else unit
    if not 1 <= unit <= largest:
        raise DataError(Mistake(_UNIT, f"found {unit}", f"Allowed with these tasks: 1 to {largest}."))
    rows = {name: stratified_rows(name, strata[name], ratio[name] * unit, seed) for name in ratio}
    drawn = np.array([len(rows[name]) for name in ratio], dtype=np.float64)
    parts = np.array(list(ratio.values()), dtype=np.float64)
    within = {name: _within(strata[name], chosen) for name, chosen in rows.items()}
    return Imbalance(dict(ratio), unit, rows, sizes, share_distances(drawn, parts / parts.sum()), within)


def imbalance_of(spec: ImbalanceSpec, strata: Mapping[str, NDArray[np.integer]], seed: int) -> Imbalance:
    """Draw what a recipe asks for.

    Args:
        spec: The ratio and the unit.
        strata: Stratum of each of a task's training rows, int [N_t].
        seed: Seed of the draw.

    Raises:
        DataError: As `imbalanced_rows`.
    """
    return imbalanced_rows(strata, spec.ratio, seed, spec.unit)


def _within(strata: NDArray[np.integer], rows: NDArray[np.int64]) -> Distances:
    """Compare the shares of strata among the rows that were drawn with those among all."""
    _, members = np.unique(strata, return_inverse=True)
    before = np.bincount(members.reshape(-1)).astype(np.float64)
    after = np.bincount(members.reshape(-1)[rows], minlength=len(before)).astype(np.float64)
    return share_distances(after, before / before.sum())
