"""The score that decides which model is the best, where an evaluation leaves it undefined."""

import math
from collections.abc import Mapping
from typing import Any

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.shown import get_logger
from hf_mtl.training.scoring.own_metrics import is_number, kind_of

logger = get_logger(__name__)


def make_comparable(metrics: dict[str, Any], prefix: str, args: MultiTaskTrainingArguments, says: bool) -> None:
    """Make the score that decides on the best model undefined where a ``compute_metrics`` gives no number.

    Args:
        metrics: The scores of an evaluation, changed in place.
        prefix: The prefix of their keys.
        args: The training arguments.
        says: Whether this process warns of it.
    """
    watched = _watched(args)
    key = f"{prefix}_{watched}"
    if key in metrics and not is_number(metrics[key]):
        if says:
            logger.warning_once(f"{watched} is {kind_of(metrics[key])}, and no number: it counts as undefined.")
        metrics[key] = math.nan


def say_undefined(metrics: Mapping[str, float], args: MultiTaskTrainingArguments, step: int) -> None:
    """Warn once that an undefined score counts as no better.

    Args:
        metrics: The scores of an evaluation while training.
        args: The training arguments.
        step: The step of the evaluation.
    """
    watched = _watched(args)
    if math.isnan(metrics.get(f"eval_{watched}", 0.0)):
        logger.warning_once(
            f"{watched} is undefined (nan) at step {step}, which counts as no better, for the best model and for "
            "early stopping."
        )


def _watched(args: MultiTaskTrainingArguments) -> str:
    return (args.metric_for_best_model or "").removeprefix("eval_")
