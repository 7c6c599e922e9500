"""Whether affinities order pairs of tasks as measured gains of training do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_mtl.errors import UserError
from hf_mtl.experiments.affinity.matrix import AffinityMatrix

Pair = tuple[str, str]
_DRAWS = 10_000


@dataclass(frozen=True)
class Agreement:
    """How affinities and measured gains agree.

    Args:
        spearman: Rank correlation over ordered pairs: 1 the same order, 0 none, -1 the opposite; nan where either is
            the same for all pairs.
        kendall: Kendall's tau-b over the same.
        p: How often a random naming of the tasks gives as large a Spearman correlation (Mantel's test, one-sided).
            Pairs with a task in common are not independent, so that no textbook p-value of a correlation holds.
        pairs: How many ordered pairs were compared.
    """

    spearman: float
    kendall: float
    p: float
    pairs: int

    def __str__(self) -> str:
        told = "agrees with" if self.spearman > 0 and self.p <= 0.05 else "is not shown to agree with"
        found = f"Spearman {self.spearman:.2f}, Kendall {self.kendall:.2f}, p {self.p:.3f}, {self.pairs} pairs"
        return f"The order by affinity {told} that of the measured gains ({found})."


def rank_agreement(
    affinity: AffinityMatrix | Mapping[Pair, float], gains: Mapping[Pair, float], seed: int = 0
) -> Agreement:
    """Correlate the order of pairs by affinity with that by measured gains.

    Args:
        affinity: Affinities of i to j.
        gains: By (i, j): what j's score gains when it is trained with i, and not alone. Of pairs that are missing
            nothing is said.
        seed: Seed of the namings, of which all are tried up to seven tasks.

    Raises:
        UserError: If fewer than three pairs are in both, or a number of them is not finite.
    """
    from scipy.stats import kendalltau

    known = affinity.pairs if isinstance(affinity, AffinityMatrix) else affinity
    pairs = [pair for pair in gains if pair in known]
    if len(pairs) < 3:
        raise UserError(f"{len(pairs)} pairs have an affinity and a measured gain; an order needs three or more")
    ours, theirs = np.array([known[pair] for pair in pairs]), np.array([gains[pair] for pair in pairs])
    if not np.isfinite([ours, theirs]).all():
        raise UserError("an affinity or a gain is not finite")
    found = _spearman(ours, theirs)
    if np.isnan(found):
        return Agreement(found, found, 1.0, len(pairs))
    return Agreement(found, float(kendalltau(ours, theirs).statistic), _mantel(known, gains, found, seed), len(pairs))


def _spearman(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    from scipy.stats import rankdata

    ranks = rankdata(ours), rankdata(theirs)
    if any(np.ptp(one) == 0 for one in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def _mantel(known: Mapping[Pair, float], gains: Mapping[Pair, float], found: float, seed: int) -> float:
    """Give the share of namings of the tasks whose correlation is as large."""
    tasks = list(dict.fromkeys(name for pair in gains if pair in known for name in pair))
    everything = factorial(len(tasks)) <= _DRAWS
    random = np.random.default_rng(seed)
    draws = permutations(tasks) if everything else (random.permutation(tasks) for _ in range(_DRAWS))
    as_large = tried = 0
    for names in draws:
        named = dict(zip(tasks, names, strict=True))
        moved = {pair: known.get((named[pair[0]], named[pair[1]])) for pair in gains if pair in known}
        there = [(value, gains[pair]) for pair, value in moved.items() if value is not None]
        value = _spearman(*map(np.array, zip(*there, strict=True))) if len(there) > 2 else float("nan")
        tried += 1
        as_large += bool(value >= found - 1e-12)
    # The naming that is true is one of all; among drawn ones it is counted too.
    return as_large / tried if everything else (as_large + 1) / (tried + 1)


def pair_gains(
    records: Iterable[Mapping[str, Any]], split: str = "test", alone: str = "single_task"
) -> dict[Pair, float]:
    """Take from a study's records what each task gains from each other, in points of its score.

    Args:
        records: Lines of ``results.jsonl``. An arm with the scores of exactly two tasks is a pair.
        split: ``test`` or ``validation``.
        alone: The arm that trains each task alone.

    Returns:
        By (i, j): the mean over seeds of 100 times j's score with i less its score alone, of the same seed and fold.
    """
    runs = [record for record in records if record.get("kind") == "run"]
    singles = {
        (task, record.get("seed"), record.get("fold")): score
        for record in runs
        if record["arm"] == alone
        for task, score in record["scores"][split].items()
    }
    found: dict[Pair, list[float]] = {}
    for record in runs:
        scores = record["scores"][split]
        if record["arm"] == alone or len(scores) != 2:
            continue
        first, second = scores
        for joins, task in ((first, second), (second, first)):
            before = singles.get((task, record.get("seed"), record.get("fold")))
            if before is not None:
                found.setdefault((joins, task), []).append(100 * (scores[task] - before))
    return {pair: float(np.mean(each)) for pair, each in found.items()}
