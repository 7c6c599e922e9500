"""Warnings, before a run begins, about what it will not do although its arguments read so."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from transformers import TrainingArguments

from hf_mtl.data.learners.base import Learner
from hf_mtl.data.mixture import Mixture
from hf_mtl.errors import Mistake
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.schedules import Schedule, Schedules
from hf_mtl.schedules.mt2st_feedback import MT2STFeedback
from hf_mtl.schedules.task_early_stopping import TaskEarlyStopping
from hf_mtl.shown import get_logger
from hf_mtl.training.schedules.schedule_checks import planned_evaluations

logger = get_logger(__name__)


class MainTask(NamedTuple):
    """The task that an aggregator holds the others against.

    Args:
        name: The task.
        stream: The stream that it is drawn with.
        rows: Rows of the task that a step of this stream alone would have.
    """

    name: str
    stream: str
    rows: float


def say_doubts(
    mixture: Mixture,
    schedules: Schedules,
    model: MultiTaskModel,
    args: TrainingArguments,
    window_steps: int,
    main: MainTask | None = None,
) -> None:
    """Warn of what can have no effect in a run, and of precision that the device does not have.

    Args:
        mixture: The mixture.
        schedules: The schedules, which know how long the run is.
        model: The model.
        args: The training arguments.
        window_steps: Steps of a window; what moves the mixture or learns takes effect at their boundaries.
        main: The task that an aggregator holds the others against; None: it holds none.
    """
    total = schedules.run.total_steps
    if total < 1:
        return
    doubts = [
        *_precision(args),
        *_anneal(mixture, total, window_steps),
        *_learner(mixture.learner, total, window_steps),
        *_schedules(schedules, args, window_steps),
        *_absent(schedules),
        *_warmups(model, schedules.run.tasks, args, total),
        *_seldom(mixture, main),
    ]
    for doubt in doubts:
        logger.warning(str(doubt))


def _precision(args: TrainingArguments) -> Iterator[Mistake]:
    if args.fp16 and args.device.type == "cpu":
        yield Mistake("training.fp16", "is on, and a CPU trains in float32", "Set bf16, or leave it out")


def _anneal(mixture: Mixture, total: int, window: int) -> Iterator[Mistake]:
    """Say that an annealed temperature moves where windows begin: a short run may have none after the first."""
    if mixture.anneal is None:
        return
    begin_of_last = (total - 1) // window * window
    first, last, end = (mixture.temperature_at(progress) for progress in (0.0, begin_of_last / total, 1.0))
    if first != end and abs(last - first) < 0.5 * abs(end - first):
        moves = f"moves the temperature every {window:,} steps (training.window_steps)"
        problem = f"{moves}, and in the run's {total:,} steps that gets from {first:g} to {last:g}, not to {end:g}"
        yield Mistake("mixture.anneal", problem, "Set a smaller window, or train longer")


def _learner(learner: Learner | None, total: int, window: int) -> Iterator[Mistake]:
    """Say that what is learned moves at a boundary, once ``every`` steps are over and each task was seen."""
    if learner is None:
        return
    wanted = learner.first_move
    first = math.ceil(wanted / window) * window
    if first >= total:
        problem = f"moves {learner.moves} for the first time at step {first:,}, and the run ends after {total:,}"
        yield Mistake("mixture.learn", problem, "Set a smaller every and training.window_steps, or train longer")


def _seldom(mixture: Mixture, main: MainTask | None) -> Iterator[Mistake]:
    """Say that the main task of an aggregator is missing from steps: these follow the others alone."""
    if main is None or mixture.min_per_task:
        return
    moments = np.linspace(0, 1, 11) if mixture.anneal is not None else [0.0]
    expected = min(main.rows * mixture.probabilities(float(progress))[main.stream] for progress in moments)
    if expected < 1:
        problem = f"has '{main.name}' for its main task, of which a step has {expected:.2g} rows on average"
        remedy = "Steps without it follow the other tasks alone: set mixture.min_per_task, or take larger steps"
        yield Mistake("balancing.aggregator", problem, remedy)


def _schedules(schedules: Schedules, args: TrainingArguments, window: int) -> Iterator[Mistake]:
    run = schedules.run
    for place, schedule in enumerate(schedules.schedules):
        key = f"schedules.{place}"
        if problem := schedule.without_effect(run):
            yield Mistake(key, f"'{schedule.name}': {problem}", f"The run has {run.total_steps:,} steps")
        elif _learns(schedule) and window >= run.total_steps:
            problem = f"'{schedule.name}' acts where a window of {window:,} steps begins, and the run has one window"
            yield Mistake(key, problem, "Set a smaller training.window_steps, or train longer")
        elif isinstance(schedule, MT2STFeedback | TaskEarlyStopping):
            of_evaluations = schedule.follows_evaluations
            checks = planned_evaluations(args, run) if of_evaluations else (run.total_steps - 1) // window
            if checks < schedule.checks_needed:
                problem = f"'{schedule.name}' needs {schedule.checks_needed} checks to act, and the run has {checks}"
                yield Mistake(key, problem, "Set a smaller patience, or train longer")


def _learns(schedule: Schedule) -> bool:
    """Tell whether it acts by what it has observed."""
    return type(schedule).begin_window is not Schedule.begin_window


def _absent(schedules: Schedules) -> Iterator[Mistake]:
    """Tasks that the schedules together never let train."""
    if not schedules:
        return
    run = schedules.run
    takes_part = np.zeros(len(run.tasks), dtype=bool)
    for step in schedules.steps_to_look_at():
        effect = schedules.effect(step)
        takes_part |= (effect.coefficients > 0) & (effect.participation > 0)
        if takes_part.all():
            return
    names = ", ".join(schedule.name for schedule in schedules.schedules)
    for index in np.flatnonzero(~takes_part):
        problem = f"'{run.tasks[index]}' takes part in none of the {run.total_steps:,} steps ({names})"
        yield Mistake("schedules", problem, "Leave the task out, or let it train")


def _warmups(model: MultiTaskModel, tasks: Sequence[str], args: TrainingArguments, total: int) -> Iterator[Mistake]:
    """Name warm-ups that last as long as the run, of the learning rate and of heads."""
    rising = args.get_warmup_steps(total)
    if rising >= total > 1:
        problem = f"takes {rising:,} steps, and the run has {total:,}: the learning rate never gets to its value"
        yield Mistake("training.warmup_steps", problem, "Set fewer")
    for name in tasks:
        head = model.heads.of(name).head
        steps = getattr(head, "warmup_steps", 0)
        if steps >= total:
            problem = f"takes {steps:,} steps, and the run has {total:,}: '{head.name}' learns nothing of other tasks"
            yield Mistake(f"tasks.{name}.head.warmup_steps", problem, "Set fewer")
