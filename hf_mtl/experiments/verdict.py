"""What is to be said of each task: whether training together helps, harms, or makes no difference that matters."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from hf_mtl.experiments.evidence import Evidence
from hf_mtl.experiments.statistics import holm

Word = Literal["helps", "harms", "equivalent", "no evidence", "same runs"]
K = TypeVar("K", bound=Hashable)

SMALLEST = 0.5
"""The smallest difference of interest, in points."""

LEVEL = 0.05


@dataclass(frozen=True)
class Verdict:
    """What is said of one task in one arm.

    Args:
        word: ``helps`` or ``harms``: the difference is significant after Holm's correction, and large enough to
            matter. ``equivalent``: the 90% interval lies within what does not matter (two one-sided tests at 5%).
            Else ``no evidence``, at this budget. ``same runs``: there is nothing to compare.
        evidence: What it is said by.
        holm: The p-value, corrected for all comparisons of the family.
        seeds: Without evidence: seeds that would show the smallest difference of interest with a power of 80%,
            whatever its rank in Holm's correction; None: not known, or as many have been run.
    """

    word: Word
    evidence: Evidence
    holm: float
    seeds: int | None = None


def verdicts(found: Mapping[K, Evidence], smallest: float = SMALLEST) -> dict[K, Verdict]:
    """Judge a family of comparisons, such as arms by tasks.

    Args:
        found: The evidence of each, a positive difference being better.
        smallest: The smallest difference of interest, in points.

    Raises:
        ValueError: If ``smallest`` is not positive.
    """
    if not smallest > 0:
        raise ValueError(f"the smallest difference of interest must be more than 0, found {smallest}")
    adjusted = holm([item.p for item in found.values()])
    # The smallest p-value of so many has to be as small as this; those behind it less so.
    level = LEVEL / max(1, sum(not math.isnan(p) for p in adjusted))
    return {key: _judge(item, p, smallest, level) for (key, item), p in zip(found.items(), adjusted, strict=True)}


def _judge(item: Evidence, p: float, smallest: float, level: float) -> Verdict:
    if p <= LEVEL and abs(item.difference) >= smallest:
        return Verdict("helps" if item.difference > 0 else "harms", item, p)
    if -smallest < item.low90 and item.high90 < smallest:
        return Verdict("equivalent", item, p)
    seeds = item.repeats_for(smallest, level)
    return Verdict("no evidence", item, p, None if seeds is None or seeds <= item.n else seeds)
