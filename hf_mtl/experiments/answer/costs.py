"""What an arm took for one seed, and whether arms that should have taken the same did."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.answer.trials import Trial, Unit, is_merged
from hf_mtl.experiments.results import Record

_TOLERANCE = 0.05
_KEYS = {
    "optimizer steps": "steps",
    "backward passes": "backward_passes",
    "floating-point operations": "flops",
    "seconds of the optimizer's time": "seconds",
}


@dataclass(frozen=True)
class Cost:
    """The mean cost of one seed of an arm; NaN where a record does not say.

    Args:
        runs: Runs of a seed.
        steps: Optimizer steps, of all runs.
        backward_passes: Backward passes.
        flops: Floating-point operations.
        seconds: Seconds of the optimizer's time.
        models: Encoders that have to be kept and served.
        trained: Whether anything was trained: a merged model is made of runs whose costs it shares.
    """

    runs: int
    steps: float
    backward_passes: float
    flops: float
    seconds: float
    models: int
    trained: bool


def cost_of(units: Mapping[Unit, Trial]) -> Cost:
    """Return what an arm took.

    Args:
        units: Its trials.
    """
    runs = max((len(trial.records) for trial in units.values()), default=0)
    whole = [trial for trial in units.values() if len(trial.records) == runs and trial.is_whole]

    def mean(key: str) -> float:
        return float(np.mean([trial.total(key) for trial in whole])) if whole else math.nan

    return Cost(
        runs,
        mean("steps"),
        mean("backward_passes"),
        mean("flops"),
        mean("seconds"),
        max(runs, 1),
        not is_merged(units),
    )


def unequal_costs(costs: Mapping[str, Cost], question: Question, arms: Sequence[str]) -> list[str]:
    """Say which arms took another budget than the reference, by more than 5%.

    Args:
        costs: What each arm took.
        question: What the study asks.
        arms: The arms that were trained.
    """
    key = _KEYS.get(question.budget)
    if key is None or question.reference not in costs:
        return []
    expected = getattr(costs[question.reference], key)
    notes = []
    for arm in arms:
        share = getattr(costs[arm], key) / expected if expected else math.nan
        if abs(share - 1) > _TOLERANCE:  # not of NaN
            notes.append(
                f"{arm} took {share:.0%} of the {question.budget} of {question.reference}, which were to be equal: a "
                "part of its difference may come from that."
            )
    return notes


def ensemble_price(records: Sequence[Record]) -> list[str]:
    """Say what it costs to keep the single-task models as they are, where they were merged too.

    Args:
        records: The records of the study, of which the first with a price speaks for all.
    """
    prices = [record["price"] for record in records if record.get("kind") == "merged" and record.get("price")]
    return [
        f"An ensemble of the single-task models keeps {price['ensemble']['parameters']:,.0f} parameters and takes "
        f"{price['ensemble']['flops_per_row']:.3g} FLOPs to answer all tasks for a row; one merged model keeps "
        f"{price['merged']['parameters']:,.0f} and takes {price['merged']['flops_per_row']:.3g}."
        for price in prices[:1]
    ]
