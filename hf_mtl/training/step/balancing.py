"""The balancing methods of a run, built from what a recipe says and told what they need to know."""

import inspect
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

import torch
from transformers import TrainingArguments

from hf_mtl.balancing import (
    DEFAULT_REDUCTION,
    DEFAULT_WEIGHTING,
    GradientAggregator,
    LookAhead,
    LossWeighting,
    Reduction,
    Teleporting,
    available,
    build_aggregator,
    build_weighting,
    weighting_class,
)
from hf_mtl.balancing.aggregator import Scope
from hf_mtl.data.mixture import Mixture
from hf_mtl.data.processes import is_main_process
from hf_mtl.errors import Mistake, ModelError, UserError, by_task_mistakes, known
from hf_mtl.gradients import GradientOptions, shared_parameters
from hf_mtl.gradients.options import Layout
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.freezing import upper_parameters
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task
from hf_mtl.training.step.task_gradients import OF_GRADIENTS

logger = get_logger(__name__)


def make_weighting(
    balancing: Mapping[str, Any],
    tasks: Mapping[str, Task],
    mixture: Mixture,
    steps_per_epoch: int = 1,
    total_steps: int | None = None,
    seed: int = 0,
) -> LossWeighting:
    """Build the loss weighting of a run and tell it what it needs to know of the run.

    Args:
        balancing: The section of a recipe; empty: equal weighting. Beside an aggregator equal weighting, whether it
            is named or not, has weights of 1 unless ``weight_sum`` says otherwise.
        tasks: The model's tasks.
        mixture: The mixture, for the training sizes.
        steps_per_epoch: Optimizer steps of an epoch.
        total_steps: Optimizer steps of the run, where known.
        seed: Seed of the method's own draws.

    Raises:
        UserError: If a key, the name or an option is unknown.
    """
    _check_keys(balancing)
    names = list(mixture.sizes)
    name, options = _method(balancing, "weighting", DEFAULT_WEIGHTING, names)
    if name == DEFAULT_WEIGHTING and balancing.get("aggregator"):
        options.setdefault("weight_sum", float(len(names)))  # an aggregator's rows are the gradients of the L_t
    if "task_types" in inspect.signature(weighting_class(name)).parameters:
        options.setdefault("task_types", [tasks[task].family for task in names])
    weighting = build_weighting(name, num_tasks=len(names), **options)
    proportional = mixture.temperature in (1, "proportional")
    twice = name == "tw" and options.get("mode", "proportional") == "proportional" and proportional
    if twice and is_main_process():
        logger.warning("Weighting 'tw' with proportional sampling counts size twice; consider mixture.temperature.")
    known_facts = {} if total_steps is None else {"total_steps": total_steps}
    sizes = list(mixture.sizes.values())
    weighting.observe(sizes=sizes, steps_per_epoch=steps_per_epoch, seed=seed, **known_facts)
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
    if balancing.get("aggregator") is None:
        return None
    name, options = _method(balancing, "aggregator", "", names)
    aggregator = build_aggregator(name, num_tasks=len(names), **options)
    aggregator.observe(seed=seed, names=names)
    return aggregator


def make_gradient_options(section: Mapping[str, Any]) -> GradientOptions:
    """Build the options of a balancing section's ``gradients``.

    Raises:
        UserError: If a key or a value is unknown.
    """
    keys = [item.name for item in fields(GradientOptions)]
    unknown = [key for key in section if key not in keys]
    if unknown:
        raise UserError(f"balancing.gradients: unknown key '{unknown[0]}'. {known(keys, unknown[0])}")
    try:
        return GradientOptions(**section)
    except ValueError as error:
        raise UserError(f"balancing.gradients: {error}") from error


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
    spec = default if balancing.get(family) is None else balancing[family]
    options = dict(spec) if isinstance(spec, Mapping) else {"name": spec}
    name = options.pop("name", None)
    if not isinstance(name, str):
        allowed = [method for method, kind in available().items() if kind == family]
        raise UserError(f"balancing.{family}: {spec} has no name. {known(allowed, '')}")
    return name, {
        key: _in_order(f"balancing.{family}.{key}", value, names) if isinstance(value, Mapping) else value
        for key, value in options.items()
    }


def _in_order(key: str, values: Mapping[str, Any], names: list[str]) -> list[Any]:
    """An option that is given by task, in task order."""
    if wrong := by_task_mistakes(values, key, names):
        raise UserError(wrong)
    return [values[name] for name in names]


def check_task_gradients(
    weighting: LossWeighting,
    aggregator: GradientAggregator | None,
    model: MultiTaskModel,
    mixture: Mixture,
    args: TrainingArguments,
    layout: Layout = "auto",
) -> None:
    """Refuse methods that need the gradients of single tasks where there are none to be had.

    Raises:
        UserError: If nothing is trained that the tasks share, the forward is compiled, or the layout or the model's
            precision does not suit the method.
    """
    needs = aggregator is not None or bool(weighting.needs & OF_GRADIENTS)
    if not needs:
        return
    name, key = (aggregator.name, "aggregator") if aggregator is not None else (weighting.name, "weighting")
    if args.torch_compile:
        found = f"'{name}' needs the gradients of single tasks, which a compiled forward does not give"
        raise UserError(Mistake("training.torch_compile", found, "Leave it out, or use a loss weighting such as uw"))
    if isinstance(aggregator, Teleporting) and model.dtype != torch.float32:
        found = f"'{name}' measures what very small noise does, which weights in {model.dtype} cannot hold"
        raise UserError(Mistake("balancing.aggregator", found, "Load the model in float32; training.bf16 may be on"))
    if isinstance(aggregator, LookAhead) and layout == "segments":
        found = f"'segments', and '{name}' goes task by task, at parameters of each task's own"
        raise UserError(Mistake("balancing.gradients.layout", found, "Use auto, or split"))
    if not shared_parameters(model):
        found = f"'{name}' needs the gradients of what all tasks share, and none of it is trained"
        raise UserError(Mistake(f"balancing.{key}", found, "Use a loss weighting such as uw, or freeze less"))
    for method, family in ((weighting, "weighting"), (aggregator, "aggregator")):
        _check_scope(getattr(method, "scope", "all"), f"balancing.{family}", model)
    if mixture.one_task_per_step and aggregator is not None and is_main_process():
        logger.warning(
            f"Aggregator '{name}' has one task in every step (mixture.one_task_per_step): nothing is left to balance."
        )


def _check_scope(scope: Scope, key: str, model: MultiTaskModel) -> None:
    if scope == "all":
        return
    try:
        parameters = upper_parameters(model.encoder, scope)
    except ModelError as error:
        found = error.mistakes[0]
        raise UserError(Mistake(f"{key}.scope", found.problem, found.remedy)) from error
    if not parameters:
        raise UserError(Mistake(f"{key}.scope", f"'{scope}', and nothing of it is trained", "Use scope: all"))
