"""What an arm took for one seed, and whether arms that should have taken the same did."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_mtl.experiments.answer.question import Question
from hf_mtl.experiments.answer.trials import Trial, Unit, is_merged
from hf_mtl.experiments.results import Record

_TOLERANCE = 0.05
_MISSED = 0.1
_KEYS = {
    "optimizer steps": "steps",
    "backward passes": "backward_passes",
    "floating-point operations": "flops",
    "seconds of the optimizer's time": "seconds",
}


@dataclass(frozen=True)
class Cost:
    """The mean cost of one seed of an arm, with all of its folds; NaN where a record does not say.

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


def cost_of(units: Mapping[Unit, Trial], runs: int, folds: int = 1) -> Cost:
    """Return what an arm took, by the trials that are whole: a trial that lacks a run took less than a seed does.

    Args:
        units: Its trials.
        runs: Runs that a trial is to have.
        folds: Folds of a seed, whose costs are those of the ones that are done.
    """
    whole = [trial for trial in units.values() if len(trial.records) == runs and trial.is_whole]

    def mean(key: str) -> float:
        return folds * float(np.mean([trial.total(key) for trial in whole])) if whole else math.nan

    return Cost(
        runs * folds,
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
    return [
        f"{_took(arm, share, question)}, which were to be equal: a part of its difference may come from that."
        for arm in arms
        if abs((share := _share(costs, question, arm)) - 1) > _TOLERANCE  # not of NaN
    ]


def budget_missed(costs: Mapping[str, Cost], question: Question, arm: str) -> str:
    """Say that an arm is not compared at the budget that was to be equal, where it is off by more than 10%.

    Args:
        costs: What each arm took.
        question: What the study asks.
        arm: The arm.

    Returns:
        A sentence; empty where the budget was kept, or is not known.
    """
    share = _share(costs, question, arm)
    if not abs(share - 1) > _MISSED:  # nor of NaN
        return ""
    return f"The budget was missed: {_took(arm, share, question)}, so that they are not compared at equal cost."


def _share(costs: Mapping[str, Cost], question: Question, arm: str) -> float:
    """Return which part of the reference's budget an arm took; NaN: not known."""
    key = _KEYS.get(question.budget)
    if key is None or question.reference not in costs or not costs[arm].trained:
        return math.nan
    expected = getattr(costs[question.reference], key)
    return getattr(costs[arm], key) / expected if expected else math.nan


def _took(arm: str, share: float, question: Question) -> str:
    return f"{arm} took {share:.0%} of the {question.budget} of {question.reference}"


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
