"""Names everything that goes by the whole length of a run, and so becomes another thing where that changes."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from transformers import TrainingArguments

from hf_mtl.data.mixture import Mixture
from hf_mtl.schedules import Effect, Run, Schedule, Schedules
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

# The schedules of the learning rate that know no last step.
_WITHOUT_END = ("constant", "constant_with_warmup", "inverse_sqrt", "reduce_lr_on_plateau", "greedy")
_LOOKED_AT = 50


def say_other_length(before: int, run: Run, args: TrainingArguments, mixture: Mixture, schedules: Schedules) -> None:
    """Warn where a run goes on as a longer or shorter one, and something in it goes by its length.

    Args:
        before: The steps that it was planned to have when its checkpoint was written.
        run: The run as it is now.
        args: The training arguments.
        mixture: The mixture.
        schedules: The schedules.
    """
    found = list(_with_a_horizon(before, run, args, mixture, schedules))
    if before != run.total_steps and found:
        logger.warning(
            f"The run was planned for {before:,} steps, and now has {run.total_steps:,}: {', '.join(found)} "
            f"{'go' if len(found) > 1 else 'goes'} by its length, and from here on "
            f"{'are those' if len(found) > 1 else 'is that'} of a run of {run.total_steps:,} steps."
        )


def _with_a_horizon(
    before: int, run: Run, args: TrainingArguments, mixture: Mixture, schedules: Schedules
) -> Iterator[str]:
    kind = str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type))
    if kind not in _WITHOUT_END:
        yield f"the learning rate ({kind})"
    elif 0 < args.warmup_steps < 1:
        yield "the warmup of the learning rate"
    if mixture.anneal is not None:
        yield "mixture.anneal"
    for place, schedule in enumerate(schedules.schedules):
        if _moves(schedule, replace(run, total_steps=before), run):
            yield f"schedules.{place} ('{schedule.name}')"


def _moves(schedule: Schedule, then: Run, now: Run) -> bool:
    """Tell whether a schedule has another effect on any of some steps of the shorter run, or says something else."""
    steps = np.linspace(0, min(then.total_steps, now.total_steps) - 1, _LOOKED_AT).astype(int).tolist()
    return schedule.summary(then) != schedule.summary(now) or any(
        not _same(schedule.effect(step, then), schedule.effect(step, now)) for step in steps
    )


def _same(one: Effect, other: Effect) -> bool:
    arrays = ("coefficients", "participation", "redistributed")
    same = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)
    return same and (one.frozen, one.learning_rate_scale) == (other.frozen, other.learning_rate_scale)
