"""Parameter groups: encoder, heads, and learned balancing parameters, each with its own learning rate."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer, TrainingArguments

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.data.processes import is_main_process
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.shown import get_logger

logger = get_logger(__name__)


def optimizer_class(args: TrainingArguments, model: Any = None) -> tuple[Any, dict[str, Any]]:
    """Return the class of the optimizer and its options: as the Trainer's, and ``adamax``, which it does not know."""
    if args.optim == "adamax":
        betas, epsilon = (args.adam_beta1, args.adam_beta2), args.adam_epsilon
        return torch.optim.Adamax, {"lr": args.learning_rate, "betas": betas, "eps": epsilon}
    found: tuple[Any, dict[str, Any]] = Trainer.get_optimizer_cls_and_kwargs(args, model)
    return found


def split_groups(
    optimizer: torch.optim.Optimizer, parameters: Collection[nn.Parameter], learning_rate: float, **changes: Any
) -> None:
    """Move some parameters into groups of their own, with another learning rate and otherwise the same options.

    Args:
        optimizer: A new optimizer, before its first step.
        parameters: The parameters to move.
        learning_rate: Their learning rate.
        changes: Other options of the new groups, such as ``weight_decay``.
    """
    chosen = {id(parameter) for parameter in parameters}
    for group in list(optimizer.param_groups):
        moved = [parameter for parameter in group["params"] if id(parameter) in chosen]
        if moved:
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in chosen]
            options = {key: value for key, value in group.items() if key != "params"}
            optimizer.add_param_group({**options, **changes, "params": moved, "lr": learning_rate})
    optimizer.param_groups[:] = [group for group in optimizer.param_groups if group["params"]]


def add_balancing_group(
    optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], learning_rate: float
) -> None:
    """Let an optimizer train learned balancing parameters too, without weight decay.

    They are no parameters of the model, so the Trainer neither clips them nor reduces their gradients.

    Args:
        optimizer: A new optimizer, before its first step.
        parameters: The balancing parameters; nothing happens when there are none.
        learning_rate: Their learning rate.
    """
    parameters = list(parameters)
    if parameters:
        optimizer.add_param_group({"params": parameters, "lr": learning_rate, "weight_decay": 0.0})


def balancing_rate(optimizer: torch.optim.Optimizer, args: MultiTaskTrainingArguments) -> float:
    """Give the learning rate of balancing parameters: ``balancing_learning_rate``, or else the optimizer's."""
    if args.balancing_learning_rate is not None:
        return args.balancing_learning_rate
    return float(optimizer.defaults.get("lr") or args.learning_rate)


def balancing_parameters(weighting: nn.Module, model: MultiTaskModel) -> dict[str, nn.Parameter]:
    """Name what is learned and balances: parameters of the weighting, and auxiliary ones of the heads."""
    auxiliary = {id(parameter) for parameter in model.heads.auxiliary_parameters()}
    of_heads = {name: parameter for name, parameter in model.named_parameters() if id(parameter) in auxiliary}
    return {f"{weighting.name}.{name}": one for name, one in weighting.named_parameters()} | of_heads


def own_head_rates(model: MultiTaskModel) -> dict[str, float]:
    """Return the learning rates that tasks ask for their heads, by task.

    The task's head has it, shared or not. What different heads have in common has ``head_learning_rate``.
    """
    asked = {name: task.head_learning_rate for name, task in model.tasks.items()}
    return {name: rate for name, rate in asked.items() if rate is not None}


def left_out(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """Find the parameters that want training and that an optimizer does not have."""
    there = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    return {name: one for name, one in parameters.items() if one.requires_grad and id(one) not in there}


def complete(
    optimizer: torch.optim.Optimizer,
    model: MultiTaskModel,
    weighting: nn.Module,
    args: MultiTaskTrainingArguments,
    given: bool,
    apart: bool = False,
) -> None:
    """Have an optimizer train all that a run learns, with groups of their own for heads and balancing parameters.

    Args:
        optimizer: The optimizer, before its first step.
        model: The model.
        weighting: The loss weighting.
        args: The training arguments.
        given: Whether it is the user's, whose groups stay as they are, beside a new one of what it does not have.
        apart: Whether the weighting's parameters have an optimizer of their own.
    """
    rate = balancing_rate(optimizer, args)
    if not given:
        if args.head_learning_rate is not None:
            split_groups(optimizer, list(model.heads.parameters()), args.head_learning_rate)
        for name, its in own_head_rates(model).items():
            split_groups(optimizer, model.heads.parameters_of(name), its)
        split_groups(optimizer, model.heads.auxiliary_parameters(), rate, weight_decay=0.0)
    learned = balancing_parameters(weighting, model)
    if args.balancing_learning_rate is not None and not learned and is_main_process():
        logger.warning("balancing_learning_rate does nothing here: no balancing parameters are learned.")
    if not apart:
        add_balancing_group(optimizer, left_out(optimizer, learned).values(), rate)


class ForOneStep:
    """An option of all parameter groups that one optimizer step has otherwise; schedulers see it as it was.

    Args:
        option: The option, such as ``lr``.
    """

    def __init__(self, option: str):
        self.option = option
        self._before: list[Any] | None = None

    def change(self, optimizer: torch.optim.Optimizer | None, to: Callable[[Any], Any]) -> None:
        """Give every group another value, before the step.

        Args:
            optimizer: The optimizer; nothing happens where it is None, or has no such option.
            to: The new value of a group's old one.
        """
        if optimizer is not None and all(self.option in group for group in optimizer.param_groups):
            self._before = [group[self.option] for group in optimizer.param_groups]
            for group in optimizer.param_groups:
                group[self.option] = to(group[self.option])

    def put_back(self, optimizer: torch.optim.Optimizer | None) -> None:
        """Give every group its own value back, after the step."""
        if self._before is not None and optimizer is not None:
            for group, value in zip(optimizer.param_groups, self._before, strict=True):
                group[self.option] = value
            self._before = None


def catch_up(scheduler: Any, steps: int) -> None:
    """Bring a learning rate schedule to a step of its run without its saved state.

    Args:
        scheduler: The schedule, at its beginning; one that is no function of the step, as those that follow scores,
            stays there.
        steps: Optimizer steps that were taken.
    """
    scheduler = getattr(scheduler, "scheduler", scheduler)  # accelerate's wrapper
    if not isinstance(scheduler, LambdaLR) or scheduler.last_epoch >= steps:
        return
    # Not by `step`, which warns where the optimizer has not stepped before.
    scheduler.last_epoch, scheduler._step_count = steps, steps + 1
    rates = [base * rate(steps) for base, rate in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)]
    for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    scheduler._last_lr = rates
