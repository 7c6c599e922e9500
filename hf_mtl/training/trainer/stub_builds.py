"""Builds for a few numbers what the Trainer builds when training has begun: it fails before data are read."""

import copy
import inspect
import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import torch
from accelerate.utils import TorchDynamoPlugin
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.checkpoint import checkpoint
from transformers import Trainer, get_scheduler
from transformers.integrations import get_reporting_integration_callbacks

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.errors import Mistake, UserError, known, one_line
from hf_mtl.training.step.optimizer import optimizer_class
from hf_mtl.training.trainer.argument_effects import CHECKPOINTING, OF_A_MODEL, word

# Optimizers that update in the middle of a backward, where the tasks of the step are not yet weighed against another.
_IN_BACKWARD = ("lomo", "adalomo")
# Options of activation checkpointing that transformers adds to those of torch.
_OF_TRANSFORMERS = ("every_n_layers", "offload")
_SWITCHES = ("use_reentrant", "preserve_rng_state", "early_stop", "debug", "offload")
_STEPS = 10


def unbuildable(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    """Build for a few numbers what the Trainer builds when training has begun, and say what fails."""
    unread = list(_unread_options(args))
    yield from unread
    yield from _optimizer(args)
    yield from _compilation(args)
    if not unread:
        yield from _schedule(args, _STEPS, 1)
        yield from _checkpointing(args)
    yield from _reports(args)


def _unread_options(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    """Find options of another kind: the Trainer reads a text as JSON only where it begins with a brace."""
    for key in ("lr_scheduler_kwargs", f"{CHECKPOINTING}_kwargs"):
        value = getattr(args, key)
        if value is not None and not isinstance(value, Mapping):
            yield Mistake(f"training.{key}", f"is {value!r}", "Allowed: a mapping of options")


# ---- Optimizer ----


def _optimizer(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    name = word(args.optim)
    if name in _IN_BACKWARD:
        remedy = "It updates within a backward, before the step's tasks have been weighed; take another"
        yield Mistake("training.optim", f"is '{name}'", remedy)
        return
    of_a_model = name.startswith(OF_A_MODEL)
    if of_a_model and args.optim_target_modules is None:
        yield Mistake("training.optim_target_modules", f"is not set, and '{name}' needs it", "Such as: all-linear")
        return
    key = "training.optim_args" if args.optim_args else "training.optim"
    try:
        finite = _is_finite_after_steps(args, of_a_model)
    except Exception as error:  # whatever an optimizer of another library may raise
        yield Mistake(key, f"'{name}' cannot be built: {one_line(error)}")
        return
    if not finite:
        remedy = "Look at weight_decay, optim_args and the adam_ options: an adam_epsilon of 0 divides 0 by 0"
        yield Mistake(key, f"'{name}' makes weights that are not finite where a gradient is 0", remedy)


def _is_finite_after_steps(args: MultiTaskTrainingArguments, of_a_model: bool) -> bool:
    """Take two steps of the optimizer: some options are read in a step only, or from the second one on."""
    if of_a_model:
        options = copy.copy(args)
        options.optim_target_modules = "all-linear"  # which of its own there are depends on the model
        make, built = optimizer_class(options, nn.utils.skip_init(nn.Linear, 1, 1))
        make([_parameter(args)], **built)
        return True
    make, built = optimizer_class(args)
    parameter = _parameter(args)
    if built.get("lr"):
        built["lr"] = min(built["lr"], 1.0)  # a rate at which training diverges is found there
    optimizer = make([parameter], **built)
    if callable(getattr(optimizer, "train", None)):
        optimizer.train()  # schedule-free ones take no step otherwise
    for _ in range(2):
        parameter.grad = torch.zeros_like(parameter)
        parameter.grad[0, 0] = 1.0
        optimizer.step()
    return bool(torch.isfinite(parameter).all())


def _target_mistakes(args: MultiTaskTrainingArguments, model: nn.Module) -> Iterator[Mistake]:
    """Say where an optimizer for some modules of the model finds none of them."""
    options = copy.copy(args)
    # The others of its kind would leave hooks in the model.
    options.optim = word(args.optim).removesuffix("_layerwise")
    if not options.optim.startswith(OF_A_MODEL):
        return
    try:
        optimizer_class(options, model)
    except Exception as error:  # such as a pattern that cannot be read
        remedy = "Allowed: names of linear layers of the model, a pattern, or all-linear"
        found = f"is {args.optim_target_modules!r}: {one_line(error)}"
        yield Mistake("training.optim_target_modules", found, remedy)


def check_builds(trainer: Trainer, steps: int) -> None:
    """Refuse an optimizer or a schedule that cannot be built for the model and the length of the run.

    Args:
        trainer: The Trainer; an optimizer or a schedule that the user gave is left as it is.
        steps: Steps of the run.

    Raises:
        UserError: If there is one.
    """
    args = trainer.args
    mistakes: list[Mistake] = []
    if trainer.optimizer is None and trainer.optimizer_cls_and_kwargs is None:
        mistakes += _target_mistakes(args, trainer.model)
    if trainer.lr_scheduler is None and steps > 0:
        mistakes += _schedule(args, steps, args.get_warmup_steps(steps))
    if mistakes:
        raise UserError(mistakes)


# ---- Schedule of the learning rate ----


def _schedule(args: MultiTaskTrainingArguments, steps: int, warmup: int) -> Iterator[Mistake]:
    """Follow the schedule of learning rates through a run.

    Args:
        args: The training arguments.
        steps: Steps of the run.
        warmup: Those that the learning rate takes to rise.
    """
    name, options = args.lr_scheduler_type, dict(args.lr_scheduler_kwargs or {})
    key = "training.lr_scheduler_kwargs"
    wrong = [option for option, value in options.items() if isinstance(value, float) and math.isnan(value)]
    for option in wrong:  # a maximum with it would be 0 in silence
        yield Mistake(key, f"{option} is nan", "Allowed: a finite number")
    if wrong:
        return
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=max(args.learning_rate, 0.0))
    try:
        schedule = get_scheduler(name, optimizer, warmup, steps, scheduler_specific_kwargs=options)
        rates = _rates(schedule, steps, warmup)
    except Exception as error:  # whatever arithmetic with the options may raise
        yield Mistake(key, f"'{word(name)}' cannot be built: {one_line(error)}")
        return
    for step, rate in rates.items():
        if not (math.isfinite(rate) and rate >= 0):
            yield Mistake(
                key, f"'{word(name)}' gives the learning rate {rate:g} at step {step:,}", "Allowed: 0 or more"
            )
            return


def _rates(schedule: Any, steps: int, warmup: int) -> dict[int, float]:
    """Give the learning rates at the steps where schedules turn."""
    if isinstance(schedule, LambdaLR):
        turns = {0, 1, warmup - 1, warmup, warmup + 1, steps // 2, steps - 1, steps}
        base = schedule.base_lrs[0]
        return {at: float(base * schedule.lr_lambdas[0](at)) for at in sorted(turns) if 0 <= at <= steps}
    for score in (1.0, 2.0, 0.5):  # one that follows scores
        schedule.step(score)
    return {len(schedule.optimizer.param_groups): float(schedule.optimizer.param_groups[0]["lr"])}


# ---- Compilation, checkpointing, reports ----


def _compilation(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    if not args.torch_compile:
        return
    backend, mode = str(args.torch_compile_backend).lower(), args.torch_compile_mode
    key = "training.torch_compile_backend"
    if args.torch_compile_backend is None:  # it was set since the arguments were made, which choose one
        yield Mistake(key, "is not set, and torch_compile is on", "Such as: inductor")
        return
    try:
        TorchDynamoPlugin(backend=backend)
    except ValueError as error:
        yield Mistake(key, f"is '{args.torch_compile_backend}': {one_line(error)}")
        return
    if mode is not None and backend != "inductor":
        remedy = "Only inductor has modes; leave it out"
        yield Mistake("training.torch_compile_mode", f"is '{mode}', and '{backend}' has none", remedy)
    elif mode is not None and mode not in (modes := _modes()):
        yield Mistake("training.torch_compile_mode", f"unknown mode '{mode}'", known(modes, mode))
    elif failure := _compile_failure(backend, mode, args.device):
        yield Mistake(key, f"'{backend}' compiles nothing here: {failure}", "Take another, or leave it out")


def _modes() -> list[str]:
    from torch._inductor import list_mode_options

    return list(list_mode_options())


@cache
def _compile_failure(backend: str, mode: str | None, device: torch.device) -> str:
    """Return what a backend says to a few numbers, such as that a package or a compiler is missing; empty if it
    works.
    """
    try:
        torch.compile(lambda numbers: numbers * 2 + 1, backend=backend, mode=mode)(torch.ones(2, device=device))
    except Exception as error:
        return one_line(error)
    return ""


def _checkpointing(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    options = dict(args.gradient_checkpointing_kwargs or {})
    of_torch = sorted(set(inspect.signature(checkpoint).parameters) - {"function", "args", "kwargs"})
    words = [*of_torch, "preserve_rng_state", *_OF_TRANSFORMERS]
    key, mistakes = f"training.{CHECKPOINTING}_kwargs", []
    for option, value in options.items():
        if option not in words:
            mistakes.append(Mistake(key, f"unknown option '{option}'", known(words, option)))
        elif option in _SWITCHES and not isinstance(value, bool):
            mistakes.append(Mistake(key, f"{option} is {value!r}", "Allowed: true or false"))
    layers = options.pop("every_n_layers", 1)
    if not (isinstance(layers, int) and layers >= 1):
        mistakes.append(Mistake(key, f"every_n_layers is {layers!r}", "Allowed: at least 1"))
    if options.pop("offload", False) is True and args.device.type == "cpu":
        remedy = "Leave it out: on a CPU the activations are where it would bring them"
        mistakes.append(Mistake(key, "offload is on, and there is no accelerator", remedy))
    yield from mistakes
    if options and not mistakes:
        try:
            checkpoint(torch.exp, torch.ones(1, requires_grad=True), **{"use_reentrant": False, **options}).backward()
        except Exception as error:
            yield Mistake(key, f"cannot be used: {one_line(error)}")


def _reports(args: MultiTaskTrainingArguments) -> Iterator[Mistake]:
    asked: str | list[str] = args.report_to or []
    # A text where it was set since the arguments were made: there, none and all are words for several reports.
    for name in [asked] if isinstance(asked, str) else asked:
        try:
            for callback in get_reporting_integration_callbacks(name if isinstance(asked, str) else [name]):
                # Some end what they have not begun when they are thrown away half built, with a traceback of its own.
                type(callback.__name__, (callback,), {"__del__": lambda self: None})()
        except Exception as error:  # a package that is missing, or whatever one that is there may raise
            yield Mistake("training.report_to", f"'{name}' cannot be used: {one_line(error)}")


def _parameter(args: MultiTaskTrainingArguments) -> nn.Parameter:
    """Return a parameter where the model's will be: some optimizers work on an accelerator alone."""
    return nn.Parameter(torch.ones(2, 2, device=args.device))
