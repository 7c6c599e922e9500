"""Training arguments that would do nothing beside others, and those of which nothing can be built."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers import get_scheduler
from transformers.integrations import get_reporting_integration_callbacks
from transformers.training_args import trainer_log_levels

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.errors import Mistake, known
from hf_mtl.training.optimizer import optimizer_class

# Optimizers that update in the middle of a backward, where the tasks of the step are not yet weighed against another.
_IN_BACKWARD = ("lomo", "adalomo")
# Optimizers that are built for the model at hand.
_OF_A_MODEL = ("galore", "apollo")

_WITHOUT_WARMUP = ("constant", "reduce_lr_on_plateau", "greedy")
_WITHOUT_OPTIONS = ("constant", "constant_with_warmup")


def idle_options(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    """Find the arguments that other arguments leave without effect."""
    optim, schedule = _word(args.optim), _word(args.lr_scheduler_type)
    # The newer of two names for one thing, where this transformers has it.
    names = ("activation_checkpointing", "gradient_checkpointing")
    checkpointing = next(name for name in names if hasattr(args, name))
    for idle, key, found, remedy in (
        (
            schedule in _WITHOUT_WARMUP and args.warmup_steps > 0,
            "warmup_steps",
            f"is {args.warmup_steps}, and the schedule '{schedule}' has no warmup",
            "Set lr_scheduler_type: constant_with_warmup, or leave it out",
        ),
        (
            schedule in _WITHOUT_OPTIONS and bool(args.lr_scheduler_kwargs),
            "lr_scheduler_kwargs",
            f"is {args.lr_scheduler_kwargs}, and the schedule '{schedule}' takes none",
            "Leave it out",
        ),
        (
            optim == "adamax" and bool(args.optim_args),
            "optim_args",
            f"is '{args.optim_args}', and adamax takes none",
            "Set adam_beta1, adam_beta2 or adam_epsilon",
        ),
        (
            args.optim_target_modules is not None and not optim.startswith(_OF_A_MODEL),
            "optim_target_modules",
            f"is {args.optim_target_modules!r}, and '{optim}' trains all modules alike",
            "Set optim to one of galore or apollo, or leave it out",
        ),
        (
            args.gradient_checkpointing_kwargs is not None and not args.gradient_checkpointing,
            f"{checkpointing}_kwargs",
            f"are set, and {checkpointing} is off",
            "Set it, or leave them out",
        ),
        (
            args.early_stopping_threshold != 0 and args.early_stopping_patience is None,
            "early_stopping_threshold",
            f"is {args.early_stopping_threshold}, and nothing stops early",
            "Set early_stopping_patience",
        ),
        (
            args.greater_is_better is not None and args.metric_for_best_model is None,
            "greater_is_better",
            "is set, and metric_for_best_model is not",
            "Set it too, or leave both out",
        ),
    ):
        if idle:
            yield Mistake(f"training.{key}", found, remedy)


def unbuildable(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    """Build for one parameter what the Trainer builds when training has begun, and say what fails."""
    yield from _optimizer(args)
    yield from _scheduler(args)
    try:
        for callback in get_reporting_integration_callbacks(args.report_to):
            callback()
    except (ImportError, RuntimeError, ValueError) as error:
        yield Mistake("training.report_to", f"{args.report_to} cannot be used: {_reason(error)}")
    for key in ("log_level", "log_level_replica"):
        level = getattr(args, key)
        if level not in trainer_log_levels:
            yield Mistake(f"training.{key}", f"unknown level '{level}'", known(trainer_log_levels, level))


def _optimizer(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    name = _word(args.optim)
    if name in _IN_BACKWARD:
        remedy = "It updates within a backward, before the step's tasks have been weighed; take another"
        yield Mistake("training.optim", f"is '{name}'", remedy)
    elif not name.startswith(_OF_A_MODEL):
        try:
            make, options = optimizer_class(args)
            make([_parameter()], **options)
        except Exception as error:  # whatever an optimizer of another library may raise
            key = "training.optim_args" if args.optim_args else "training.optim"
            yield Mistake(key, f"'{name}' cannot be built: {_reason(error)}")


def _scheduler(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    name, options = args.lr_scheduler_type, dict(args.lr_scheduler_kwargs or {})
    try:
        get_scheduler(name, torch.optim.SGD([_parameter()]), 1, 10, scheduler_specific_kwargs=options)
    except (TypeError, ValueError) as error:
        yield Mistake("training.lr_scheduler_kwargs", f"'{_word(name)}' cannot be built: {_reason(error)}")


def _parameter() -> nn.Parameter:
    return nn.Parameter(torch.zeros(1, 1))


def _word(choice: Any) -> str:
    """A choice as it is written, enum or not."""
    return str(getattr(choice, "value", choice))


def _reason(error: Exception) -> str:
    """The first line of a message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
