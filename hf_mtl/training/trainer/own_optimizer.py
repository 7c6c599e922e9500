"""An optimizer, or a schedule, that the user made: what of the run it cannot train."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.processes import is_main_process
from hf_mtl.errors import Mistake, UserError
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.shown import get_logger
from hf_mtl.training.step.optimizer import balancing_parameters, left_out, own_head_rates

logger = get_logger(__name__)

FUSED = ("layerwise", "lomo")
"""In the name of an ``optim`` that updates the model in its backward, and nothing but the model."""
_OF_ALL_HEADS = "training.head_learning_rate"


def check_fused(args: MultiTaskTrainingArguments, weighting: nn.Module, model: MultiTaskModel) -> None:
    """Refuse an ``optim`` that would leave learned balancing parameters where they are, or heads at its one rate.

    Raises:
        UserError: If it updates the model alone, and anything but that is wanted.
    """
    optim = str(getattr(args.optim, "value", args.optim))
    if not any(part in optim for part in FUSED):
        return
    mistakes = []
    if list(weighting.parameters()):
        found = f"is '{optim}', which updates the model alone, and '{weighting.name}' learns parameters"
        mistakes.append(Mistake("training.optim", found, "Use another optimizer, or a weighting such as ew or dwa"))
    for key, rate in _head_rates(args, model).items():
        found = f"is {rate}, and '{optim}' has one learning rate for all parameters"
        mistakes.append(Mistake(key, found, "Leave it out, or use another optimizer"))
    if mistakes:
        raise UserError(mistakes)


def _head_rates(args: MultiTaskTrainingArguments, model: MultiTaskModel) -> dict[str, float]:
    """Return the learning rates that are asked for heads, by recipe key."""
    own = {f"tasks.{name}.head_learning_rate": rate for name, rate in own_head_rates(model).items()}
    return own if args.head_learning_rate is None else {_OF_ALL_HEADS: args.head_learning_rate, **own}


def check_own_optimizer(
    optimizer: torch.optim.Optimizer | None,
    schedule: Any,
    weighting: nn.Module,
    model: MultiTaskModel,
    args: MultiTaskTrainingArguments,
) -> None:
    """Refuse ``optimizers=`` that would do something else than the arguments say; say what it does not train.

    Args:
        optimizer: The user's optimizer; None: the Trainer makes one.
        schedule: The user's schedule of learning rates; None: the Trainer makes one.
        weighting: The loss weighting.
        model: The model.
        args: The training arguments.

    Raises:
        UserError: If they do not fit together; all mistakes at once.
    """
    mistakes = []
    if schedule is not None and getattr(schedule, "optimizer", optimizer) is not optimizer:
        found = "has a schedule of learning rates that was built on another optimizer"
        mistakes.append(Mistake("optimizers", found, "Give both: optimizers=(optimizer, schedule)"))
    if optimizer is not None:
        mistakes += _mistakes(optimizer, schedule, balancing_parameters(weighting, model), args)
        for key, rate in _head_rates(args, model).items():
            found = f"is {rate}, and the given optimizer has its own groups"
            remedy = "Give the heads a group in it (hf_mtl.modeling.split_parameters), and leave this out"
            mistakes.append(Mistake(key, found, remedy))
    if mistakes:
        raise UserError(mistakes)
    others = {} if optimizer is None else left_out(optimizer, dict(model.named_parameters()))
    others = {name: one for name, one in others.items() if name not in balancing_parameters(weighting, model)}
    if others and is_main_process():
        logger.warning(f"optimizers: {_some(others)} of the model are in no group and stay as they are.")


def _mistakes(
    optimizer: torch.optim.Optimizer,
    schedule: Any,
    balancing: dict[str, nn.Parameter],
    args: MultiTaskTrainingArguments,
) -> list[Mistake]:
    missing, mistakes = left_out(optimizer, balancing), []
    if missing and schedule is not None:
        found = f"has a schedule built before {_some(missing)} can join the optimizer in a group of their own"
        remedy = "Give the optimizer alone, optimizers=(optimizer, None), and set training.lr_scheduler_type"
        mistakes.append(Mistake("optimizers", found, remedy))
    there = {name: one for name, one in balancing.items() if one.requires_grad and name not in missing}
    if args.balancing_learning_rate is not None and there:
        found = f"is {args.balancing_learning_rate}, and the given optimizer has its own groups for {_some(there)}"
        remedy = "Leave them out of the optimizer, which gives them a group with this rate, or leave this out"
        mistakes.append(Mistake("training.balancing_learning_rate", found, remedy))
    return mistakes


def _some(names: Iterable[str]) -> str:
    """List the first names of many."""
    first, more = list(names)[:3], len(list(names)) - 3
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")
