"""The number of a run's evaluations, and whether its training follows them."""

import math

from transformers import TrainingArguments

from hf_mtl.data.learners.base import Learner
from hf_mtl.schedules import Run, Schedules


def planned_evaluations(args: TrainingArguments, run: Run) -> int:
    """Tell how often a run will be evaluated."""
    strategy = str(getattr(args.eval_strategy, "value", args.eval_strategy))
    if strategy == "epoch":
        return math.ceil(run.total_steps / max(run.steps_per_epoch, 1))
    if strategy != "steps" or not args.eval_steps:
        return 0
    every = args.eval_steps if args.eval_steps >= 1 else math.ceil(args.eval_steps * run.total_steps)
    return int(run.total_steps // every)


def follows_evaluations(schedules: Schedules, learner: Learner | None) -> bool:
    """Tell whether what the evaluations of a run show moves its training."""
    by_losses = learner is not None and learner.follows_losses
    return by_losses or any(schedule.follows_evaluations for schedule in schedules.schedules)
