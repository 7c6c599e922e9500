"""Training arguments that would do nothing beside others, and those of which nothing can be built."""

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from accelerate.utils import TorchDynamoPlugin
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import get_scheduler
from transformers.integrations import get_reporting_integration_callbacks
from transformers.training_args import trainer_log_levels

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.errors import Mistake, known, one_line
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.training.optimizer import optimizer_class

# Optimizers that update in the middle of a backward, where the tasks of the step are not yet weighed against another.
_IN_BACKWARD = ("lomo", "adalomo")
# Optimizers that are built for the model at hand.
_OF_A_MODEL = ("galore", "apollo")

_WITHOUT_WARMUP = ("constant", "reduce_lr_on_plateau", "greedy")
_WITHOUT_OPTIONS = ("constant", "constant_with_warmup")

# The newer of two names for one thing, where this transformers has it; both hold the same.
_NAMES = ("activation_checkpointing", "gradient_checkpointing")
_CHECKPOINTING = next(name for name in _NAMES if name in MultiTaskTrainingArguments.__dataclass_fields__)


def idle_options(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    """Find the arguments that other arguments leave without effect."""
    optim, schedule = _word(args.optim), _word(args.lr_scheduler_type)
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
            args.optim_target_modules is not None and not optim.startswith(_OF_A_MODEL),
            "optim_target_modules",
            f"is {args.optim_target_modules!r}, and '{optim}' trains all modules alike",
            "Set optim to one of galore or apollo, or leave it out",
        ),
        (
            args.gradient_checkpointing_kwargs is not None and not args.gradient_checkpointing,
            f"{_CHECKPOINTING}_kwargs",
            f"are set, and {_CHECKPOINTING} is off",
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
    for option in _idle_optim_args(args):
        yield Mistake("training.optim_args", f"has '{option}', which '{optim}' does not take", "Leave it out")


def _idle_optim_args(args: MultiTaskTrainingArguments) -> Iterator[str]:
    """Find the parts of ``optim_args`` that change nothing of what is asked of the optimizer."""
    options = copy.copy(args)
    for option in (args.optim_args or "").replace(" ", "").split(","):
        try:
            options.optim_args = None
            without = optimizer_class(options)
            options.optim_args = option
            idle = bool(option) and optimizer_class(options) == without
        except Exception:  # told where the optimizer is built
            idle = False
        if idle:
            yield option


def unbuildable(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    """Build for one parameter what the Trainer builds when training has begun, and say what fails."""
    unread = list(_unread_options(args))
    yield from unread
    yield from _optimizer(args)
    yield from _compilation(args)
    yield from _words(args)
    if not unread:
        yield from _scheduler(args)
        yield from _checkpointing(args)
    try:
        for callback in get_reporting_integration_callbacks(args.report_to):
            callback()
    except (ImportError, RuntimeError, ValueError) as error:
        yield Mistake("training.report_to", f"{args.report_to} cannot be used: {one_line(error)}")


def _unread_options(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    """Options that are a word: the Trainer reads a text as JSON only where it begins with a brace."""
    for key in ("lr_scheduler_kwargs", f"{_CHECKPOINTING}_kwargs"):
        value = getattr(args, key)
        if value is not None and not isinstance(value, Mapping):
            yield Mistake(f"training.{key}", f"is {value!r}", "Allowed: a mapping of options")


def _words(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    """Look up the words that are not looked up before training."""
    for key, words in (
        ("log_level", list(trainer_log_levels)),
        ("log_level_replica", list(trainer_log_levels)),
        ("include_num_input_tokens_seen", ["all", "non_padding", "no"]),
        ("dataloader_multiprocessing_context", torch.multiprocessing.get_all_start_methods()),
    ):
        value = getattr(args, key)
        if value is not None and value not in words:
            yield Mistake(f"training.{key}", f"unknown value '{value}'", known(words, str(value)))


def _compilation(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    if args.torch_compile:
        try:
            TorchDynamoPlugin(backend=args.torch_compile_backend, mode=args.torch_compile_mode)
        except ValueError as error:
            yield Mistake("training.torch_compile_backend", f"is '{args.torch_compile_backend}': {one_line(error)}")


def _checkpointing(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    of_torch = sorted(set(inspect.signature(checkpoint).parameters) - {"function", "args", "kwargs"})
    words = [*of_torch, "preserve_rng_state", "every_n_layers", "offload"]
    for option in args.gradient_checkpointing_kwargs or {}:
        if option not in words:
            yield Mistake(f"training.{_CHECKPOINTING}_kwargs", f"unknown option '{option}'", known(words, option))


def _optimizer(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    name = _word(args.optim)
    if name in _IN_BACKWARD:
        remedy = "It updates within a backward, before the step's tasks have been weighed; take another"
        yield Mistake("training.optim", f"is '{name}'", remedy)
        return
    of_a_model = name.startswith(_OF_A_MODEL)
    if of_a_model and args.optim_target_modules is None:
        yield Mistake("training.optim_target_modules", f"is not set, and '{name}' needs it", "Such as: all-linear")
        return
    try:
        make, options = optimizer_class(args, nn.Linear(1, 1) if of_a_model else None)
        make([_parameter()], **options)
    except ValueError as error:
        # Which modules there are depends on the model.
        if not of_a_model:
            yield Mistake(_optimizer_key(args), f"'{name}' cannot be built: {one_line(error)}")
    except Exception as error:  # whatever an optimizer of another library may raise
        yield Mistake(_optimizer_key(args), f"'{name}' cannot be built: {one_line(error)}")


def _optimizer_key(args: MultiTaskTrainingArguments) -> str:
    return "training.optim_args" if args.optim_args else "training.optim"


def _scheduler(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    name, options = args.lr_scheduler_type, dict(args.lr_scheduler_kwargs or {})
    try:
        get_scheduler(name, torch.optim.SGD([_parameter()]), 1, 10, scheduler_specific_kwargs=options)
    except (TypeError, ValueError) as error:
        yield Mistake("training.lr_scheduler_kwargs", f"'{_word(name)}' cannot be built: {one_line(error)}")


def _parameter() -> nn.Parameter:
    return nn.Parameter(torch.zeros(1, 1))


def _word(choice: Any) -> str:
    """A choice as it is written, enum or not."""
    return str(getattr(choice, "value", choice))


def checkpointing_mistakes(model: object, args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    """Find gradient checkpointing for an encoder that has none."""
    if not isinstance(model, MultiTaskModel) or model.supports_gradient_checkpointing:
        return
    if args.gradient_checkpointing:
        found = f"is on, and '{model.encoder.config.model_type}' has none in transformers"
        yield Mistake(f"training.{_CHECKPOINTING}", found, "Leave it out, or use smaller batches")
