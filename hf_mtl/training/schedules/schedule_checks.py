"""What schedules and learned temperatures cannot do in a run, said before it begins."""

import math
from collections.abc import Collection, Iterator

from transformers import TrainingArguments

from hf_mtl.data.learned_temperature import LearnedTemperature
from hf_mtl.errors import Mistake, ModelError, UserError
from hf_mtl.evaluation import headline_keys
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.freezing import freeze_mistakes
from hf_mtl.schedules import Group, Run, Schedules, frozen_out, unwatched
from hf_mtl.training.schedules.frozen_groups import FrozenGroups


def planned_evaluations(args: TrainingArguments, run: Run) -> int:
    """How often a run will be evaluated."""
    strategy = str(getattr(args.eval_strategy, "value", args.eval_strategy))
    if strategy == "epoch":
        return math.ceil(run.total_steps / max(run.steps_per_epoch, 1))
    if strategy != "steps" or not args.eval_steps:
        return 0
    every = args.eval_steps if args.eval_steps >= 1 else math.ceil(args.eval_steps * run.total_steps)
    return int(run.total_steps // every)


def follows_evaluations(schedules: Schedules, learner: LearnedTemperature | None) -> bool:
    """Whether what the evaluations of a run show moves its training."""
    return learner is not None or any(schedule.tasks_watched() for schedule in schedules.schedules)


def check_schedules(
    schedules: Schedules,
    learner: LearnedTemperature | None,
    model: MultiTaskModel,
    args: TrainingArguments,
    evaluated: Collection[str],
) -> None:
    """Refuse what would do nothing, or fail in the middle of a run; all of it at once.

    Args:
        schedules: The schedules.
        learner: Learned temperatures; None: there are none.
        model: The model, as it will be trained.
        args: The training arguments.
        evaluated: The tasks with validation rows.

    Raises:
        UserError: If a schedule waits for evaluations that never come, or freezes what is not there or not trained,
            or if the schedules together leave no task or no parameter in some step.
    """
    if not schedules and learner is None:
        return
    tasks = evaluated if planned_evaluations(args, schedules.run) else ()
    mistakes = [*unwatched(schedules.schedules, tasks), *_unscored(learner, model, tasks)]
    frozen = list(_frozen(schedules, model))
    mistakes += frozen
    if not frozen:
        mistakes += _left_over(schedules, model)
    if mistakes:
        raise UserError(mistakes)


def _unscored(
    learner: LearnedTemperature | None, model: MultiTaskModel, evaluated: Collection[str]
) -> Iterator[Mistake]:
    if learner is None or learner.objective != "worst":
        return
    for task in learner.tasks:
        if task not in evaluated or not headline_keys(model.tasks[task]):
            problem = f"'worst' follows a validation metric of '{task}', which is never evaluated"
            remedy = "Set training.eval_strategy, and give the task a validation split and a metric"
            yield Mistake("mixture.learn.objective", problem, remedy)


def _frozen(schedules: Schedules, model: MultiTaskModel) -> Iterator[Mistake]:
    """Groups that the encoder does not have, and steps of an encoder of which nothing is trained."""
    groups = FrozenGroups(model)
    if not groups.trained(["encoder"]):
        yield from frozen_out(schedules.schedules)
    for place, schedule in enumerate(schedules.schedules):
        for group in schedule.groups():
            key = f"schedules.{place}.freeze"
            if isinstance(group, int) and (wrong := freeze_mistakes(group, model.encoder.config, adapters=False)):
                yield Mistake(key, wrong[0].problem, wrong[0].remedy)
                continue
            try:
                groups.trained([group])
            except ModelError as error:
                yield Mistake(key, error.mistakes[0].problem, error.mistakes[0].remedy)


def _left_over(schedules: Schedules, model: MultiTaskModel) -> Iterator[Mistake]:
    """The first step without any task, and the first without any parameter to train."""
    names = ", ".join(schedule.name for schedule in schedules.schedules)
    groups = FrozenGroups(model)
    everything, seen = groups.trained(["encoder", "heads"]), set[frozenset[Group]]()
    nobody = False
    for step in schedules.steps_to_look_at():
        effect = schedules.effect(step)
        if not nobody and not (effect.coefficients > 0).any():
            nobody = True
            yield Mistake("schedules", f"no task takes part in step {step:,} ({names})", "Let one of them stay")
        if effect.frozen not in seen:
            seen.add(effect.frozen)
            if effect.frozen and groups.trained(effect.frozen) == everything:
                what = " and ".join(sorted(str(group) for group in effect.frozen))
                problem = f"nothing is trained in step {step:,}: {names} freeze {what}"
                yield Mistake("schedules", problem, "Leave one of them out")
