"""The score that the trials are selected by."""

import math
from collections.abc import Mapping
from typing import Any

from hf_mtl.errors import EVALUATE, Mistake, known
from hf_mtl.evaluation import score_keys
from hf_mtl.evaluation.registry import greater_is_better
from hf_mtl.experiments.sweep.arms import Arm
from hf_mtl.experiments.sweep.comparable import unlike_mistakes
from hf_mtl.tasks import Task

OF_ALL = ("average", "macro", "worst")


def directions(tasks: Mapping[str, Task]) -> dict[str, bool]:
    """Return the scores that can be selected by, and whether more of each is better.

    Args:
        tasks: The tasks by name.
    """
    found = dict.fromkeys(OF_ALL, True)
    for name, task in tasks.items():
        for key, spec in score_keys(task):
            found[f"{name}_{key}"] = spec is not None and greater_is_better(spec)
    return found


def metric_mistakes(metric: str, arm: Arm, pruned: bool) -> list[Mistake]:
    """Find what keeps the trials of an arm from being selected by a score.

    Args:
        metric: The score.
        arm: The arm.
        pruned: Whether trials are pruned, which takes evaluations while training.
    """
    scores, wrong = directions(arm.recipe.tasks), []
    if metric not in scores:
        wrong.append(Mistake("metric", f"unknown score '{metric}'", known(scores, metric)))
    if pruned and arm.recipe.training.options().get("eval_strategy", "no") == "no":
        wrong.append(Mistake("pruning", f"is on, and a run of {arm.name} is not evaluated while it trains", EVALUATE))
    return wrong + unlike_mistakes(arm, metric)


def value_of(results: Mapping[str, Any], metric: str) -> float | None:
    """Return a score out of results; None where it is missing or undefined.

    Args:
        results: As in ``results.json``.
        metric: The score.
    """
    flat = {key: results.get(key) for key in OF_ALL}
    for name, scores in results["tasks"].items():
        flat |= {f"{name}_{key}": value for key, value in scores.items()}
    value = flat.get(metric)
    return None if value is None or math.isnan(value) else float(value)
