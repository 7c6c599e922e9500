"""Training arguments that would do nothing beside others, and words that nothing looks up before training."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from transformers.training_args import trainer_log_levels

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.errors import Mistake, known
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.training.step.optimizer import optimizer_class

OF_A_MODEL = ("galore", "apollo")
"""Optimizers that are built for the model at hand."""

_WITHOUT_WARMUP = ("constant", "reduce_lr_on_plateau", "greedy")
_WITHOUT_OPTIONS = ("constant", "constant_with_warmup")

_NAMES = ("activation_checkpointing", "gradient_checkpointing")
CHECKPOINTING = next(name for name in _NAMES if name in MultiTaskTrainingArguments.__dataclass_fields__)
"""The newer of two names for one thing, where this transformers has it; both hold the same."""


def idle_options(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    """Find the arguments that other arguments leave without effect."""
    optim, schedule = word(args.optim), word(args.lr_scheduler_type)
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
            args.optim_target_modules is not None and not optim.startswith(OF_A_MODEL),
            "optim_target_modules",
            f"is {args.optim_target_modules!r}, and '{optim}' trains all modules alike",
            "Set optim to one of galore or apollo, or leave it out",
        ),
        (
            args.gradient_checkpointing_kwargs is not None and not args.gradient_checkpointing,
            f"{CHECKPOINTING}_kwargs",
            f"are set, and {CHECKPOINTING} is off",
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


def unknown_words(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
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


def word(choice: Any) -> str:
    """Return a choice as it is written, enum or not."""
    return str(getattr(choice, "value", choice))


def checkpointing_mistakes(model: object, args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    """Find gradient checkpointing for an encoder that has none."""
    if not isinstance(model, MultiTaskModel) or model.supports_gradient_checkpointing:
        return
    if args.gradient_checkpointing:
        found = f"is on, and '{model.encoder.config.model_type}' has none in transformers"
        yield Mistake(f"training.{CHECKPOINTING}", found, "Leave it out, or use smaller batches")
