"""Arms compared over seeds: paired differences, their intervals and tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hf_mtl.experiments.results import Record
from hf_mtl.experiments.statistics import MeanInterval, cliffs_delta, holm, mean_interval, paired_t_test

Runs = dict[str, list[Record]]
"""The runs of each arm, in the order of their seeds."""
Value = Callable[[Record], float]
"""Gives the value of a run that is compared."""


@dataclass(frozen=True)
class Contrast:
    """A difference between two arms over the seeds that both have.

    Args:
        left: An arm.
        right: The arm that is subtracted.
        difference: Mean difference with its 95% interval, which is not corrected for other contrasts.
        p: Of the paired t-test.
        cliff: Cliff's delta.
        holm: ``p`` corrected for all contrasts of a family; ``p`` itself where the contrast stands alone.
    """

    left: str
    right: str
    difference: MeanInterval
    p: float
    cliff: float
    holm: float


def runs_by_arm(records: Sequence[Record], arms: Sequence[str], **key: object) -> Runs:
    """Sort the runs whose records hold a key by arm; arms without runs are left out."""
    mine = [record for record in records if key.items() <= record.items()]
    found = {
        arm: sorted((record for record in mine if record["arm"] == arm), key=lambda record: record["seed"])
        for arm in arms
    }
    return {arm: runs for arm, runs in found.items() if runs}


def pairs(runs: Runs, left: str, right: str) -> list[tuple[Record, Record]]:
    """Pair the runs of two arms that have the same seed."""
    return [(a, b) for a in runs.get(left, []) for b in runs.get(right, []) if a["seed"] == b["seed"]]


def contrast(runs: Runs, left: str, right: str, value: Value) -> Contrast | None:
    """Compare two arms; None where they share fewer than two seeds."""
    both = [(value(a), value(b)) for a, b in pairs(runs, left, right)]
    if len(both) < 2:
        return None
    ours, theirs = zip(*both, strict=True)
    interval = mean_interval([a - b for a, b in both])
    p = paired_t_test(ours, theirs).p
    return Contrast(left, right, interval, p, cliffs_delta(ours, theirs), p)


def contrasts(runs: Runs, family: Sequence[tuple[str, str]], value: Value) -> list[Contrast]:
    """Compare pairs of arms, first minus second; ``holm`` counts all that can be compared.

    Args:
        runs: The runs.
        family: The pairs.
        value: What is compared.
    """
    found = [item for left, right in family if (item := contrast(runs, left, right, value)) is not None]
    adjusted = holm([item.p for item in found])
    return [replace(item, holm=p) for item, p in zip(found, adjusted, strict=True)]
