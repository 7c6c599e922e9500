"""Refuses what DDP cannot do with a model of several heads, some of which have nothing to do in a step."""

from collections.abc import Iterator

from transformers import TrainingArguments
from transformers.training_args import ParallelMode

from hf_mtl.errors import Mistake, UserError
from hf_mtl.schedules import Schedules
from hf_mtl.training.trainer.argument_effects import CHECKPOINTING


def check_ddp(args: TrainingArguments, tasks: int, through_ddp: bool, schedules: Schedules) -> None:
    """Refuse arguments with which DDP would wait for a gradient that does not come, or abort.

    Args:
        args: The training arguments.
        tasks: Number of tasks.
        through_ddp: Whether backward passes go through DDP, if there are several processes.
        schedules: The schedules, which may freeze parts of the model for a while.

    Raises:
        UserError: If there are any; all of them at once.
    """
    if args.parallel_mode != ParallelMode.DISTRIBUTED or not through_ddp:
        return
    if mistakes := list(_mistakes(args, tasks, bool(schedules.groups))):
        raise UserError(mistakes)


def _mistakes(args: TrainingArguments, tasks: int, freezes: bool) -> Iterator[Mistake]:
    reentrant = bool((args.gradient_checkpointing_kwargs or {}).get("use_reentrant", False))
    finds, key = args.ddp_find_unused_parameters, f"training.{CHECKPOINTING}_kwargs.use_reentrant"
    idle = "a process has no row of a task" if tasks > 1 else "a schedule has frozen a part of the model"
    if reentrant and finds:
        problem = "is on, with ddp_find_unused_parameters: DDP aborts as each parameter is ready twice"
        yield Mistake(key, problem, "Set it to false")
    elif (tasks > 1 or freezes) and not finds:
        found = "is on" if reentrant else "is off"
        problem = f"{found}: DDP aborts after a step in which {idle}"
        remedy = "Set it to false" if reentrant else "Leave it out"
        yield Mistake(key if reentrant else "training.ddp_find_unused_parameters", problem, remedy)
