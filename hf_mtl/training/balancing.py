"""The balancing methods of a run, built from what a recipe says and told what they need to know."""

import inspect
import os
from collections.abc import Mapping
from typing import Any, get_args

from transformers import TrainingArguments
from transformers.utils import logging

from hf_mtl.balancing import (
    DEFAULT_REDUCTION,
    DEFAULT_WEIGHTING,
    GradientAggregator,
    LossWeighting,
    Reduction,
    available,
    build_aggregator,
    build_weighting,
    weighting_class,
)
from hf_mtl.data.mixture import Mixture
from hf_mtl.errors import Mistake, UserError, known
from hf_mtl.gradients import shared_parameters
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.tasks import Regression, Task
from hf_mtl.training.task_gradients import OF_GRADIENTS

logger = logging.get_logger(__name__)


def make_weighting(
    balancing: Mapping[str, Any],
    tasks: Mapping[str, Task],
    mixture: Mixture,
    steps_per_epoch: int = 1,
    seed: int = 0,
) -> LossWeighting:
    """Build the loss weighting of a run and tell it what it needs to know of the run.

    Args:
        balancing: The section of a recipe; empty: equal weighting.
        tasks: The model's tasks.
        mixture: The mixture, for the training sizes.
        steps_per_epoch: Optimizer steps of an epoch.
        seed: Seed of the method's own draws.

    Raises:
        UserError: If a key, the name or an option is unknown.
    """
    _check_keys(balancing)
    names = list(mixture.sizes)
    if not balancing.get("weighting") and balancing.get("aggregator"):
        weighting = build_weighting(DEFAULT_WEIGHTING, num_tasks=len(names), weight_sum=float(len(names)))
    else:
        name, options = _method(balancing, "weighting", DEFAULT_WEIGHTING, names)
        if "task_types" in inspect.signature(weighting_class(name)).parameters:
            kinds = ["regression" if isinstance(tasks[task], Regression) else "classification" for task in names]
            options.setdefault("task_types", kinds)
        weighting = build_weighting(name, num_tasks=len(names), **options)
        proportional = mixture.temperature in (1, "proportional")
        if name == "tw" and options.get("mode", "proportional") == "proportional" and proportional:
            logger.warning(
                "Weighting 'tw' with proportional sampling counts size twice; consider mixture.temperature."
            )
    weighting.observe(sizes=list(mixture.sizes.values()), steps_per_epoch=steps_per_epoch, seed=seed)
    return weighting


def make_aggregator(balancing: Mapping[str, Any], names: list[str], seed: int) -> GradientAggregator | None:
    """Build the gradient aggregator of a run.

    Args:
        balancing: The section of a recipe.
        names: The tasks.
        seed: Seed of the method's own draws.

    Raises:
        UserError: If the name or an option is unknown, or the method cannot be trained with.
    """
    if not balancing.get("aggregator"):
        return None
    name, options = _method(balancing, "aggregator", "", names)
    aggregator = build_aggregator(name, num_tasks=len(names), **options)
    aggregator.observe(seed=seed)
    return aggregator


def _check_keys(balancing: Mapping[str, Any]) -> None:
    keys = ("weighting", "aggregator", "reduction", "exact_accumulation", "gradients")
    unknown = [key for key in balancing if key not in keys]
    if unknown:
        raise UserError(f"balancing: unknown key '{unknown[0]}'. {known(keys, unknown[0])}")
    reduction = balancing.get("reduction", DEFAULT_REDUCTION)
    if reduction not in get_args(Reduction):
        raise UserError(f"balancing.reduction: '{reduction}'. {known(get_args(Reduction), reduction)}")


def _method(balancing: Mapping[str, Any], family: str, default: str, names: list[str]) -> tuple[str, dict[str, Any]]:
    """Name and options of a method as a recipe writes it, with options by task in task order."""
    spec = balancing.get(family) or default
    options = dict(spec) if isinstance(spec, Mapping) else {"name": spec}
    name = options.pop("name", None)
    if name is None:
        allowed = [method for method, kind in available().items() if kind == family]
        raise UserError(f"balancing.{family}: {spec} has no name. {known(allowed, '')}")
    return name, {
        key: _in_order(f"balancing.{family}.{key}", value, names) if isinstance(value, Mapping) else value
        for key, value in options.items()
    }


def _in_order(key: str, values: Mapping[str, Any], names: list[str]) -> list[Any]:
    """An option that is given by task, in task order."""
    if set(values) != set(names):
        raise UserError(f"{key}: names {sorted(values)}, the tasks are {sorted(names)}")
    return [values[name] for name in names]


def is_sharded(args: TrainingArguments) -> bool:
    """Whether parameters are sharded over the processes, by the arguments or by ``accelerate launch``."""
    launched = any(os.environ.get(f"ACCELERATE_USE_{kind}") == "true" for kind in ("FSDP", "DEEPSPEED"))
    return bool(args.fsdp or args.deepspeed) or launched


def check_task_gradients(
    weighting: LossWeighting,
    aggregator: GradientAggregator | None,
    model: MultiTaskModel,
    mixture: Mixture,
    args: TrainingArguments,
) -> None:
    """Refuse methods that need the gradients of single tasks where there are none to be had.

    Raises:
        UserError: If nothing is trained that the tasks share, or its parameters are sharded.
    """
    needs = aggregator is not None or bool(weighting.needs & OF_GRADIENTS)
    if not needs or len(mixture.sizes) < 2:
        return
    name, key = (aggregator.name, "aggregator") if aggregator is not None else (weighting.name, "weighting")
    if is_sharded(args):
        found = f"'{name}' needs the gradients of single tasks, and FSDP or DeepSpeed shards the parameters"
        raise UserError(Mistake(f"balancing.{key}", found, "Use a loss weighting such as uw or famo, or DDP"))
    if not shared_parameters(model):
        found = f"'{name}' needs the gradients of what all tasks share, and none of it is trained"
        raise UserError(Mistake(f"balancing.{key}", found, "Use a loss weighting such as uw, or freeze less"))
    if mixture.one_task_per_step and aggregator is not None:
        logger.warning(
            f"Aggregator '{name}' has one task in every step (mixture.one_task_per_step): nothing is left to balance."
        )
