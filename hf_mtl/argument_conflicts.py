"""Training arguments that do not go together, in recipes and in Python alike.

transformers says the first of them alone, in words of its own, once it has read all arguments.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from hf_mtl.errors import Mistake

_AS_OFTEN = "Set both to epoch, or both to steps; or save_strategy: best"
BY_SCORE = ("reduce_lr_on_plateau", "greedy")
"""Schedules of the learning rate that follow an evaluation's score."""


def conflicts(values: Mapping[str, Any]) -> list[Mistake]:
    """Find what does not go together.

    Args:
        values: Every training argument, as it was given or as `TrainingArguments` holds it.
    """
    found = (
        *_steps(values),
        *_best_model(values),
        *_precision(values),
        *_evaluation(values),
        *_workers(values),
        *_tokens(values),
    )
    return [Mistake(f"training.{key}", problem, remedy) for key, problem, remedy in found]


def word(value: Any) -> str:
    """Return a choice as a recipe writes it: ``no``, not ``IntervalStrategy.NO``."""
    return str(value.value if isinstance(value, Enum) else value)


def _steps(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Find intervals that are no whole number of steps."""
    for what in ("logging", "eval", "save"):
        steps = values[f"{what}_steps"]
        if steps is not None and word(values[f"{what}_strategy"]) == "steps" and steps > 1 and steps != int(steps):
            yield f"{what}_steps", f"is {steps}", "Allowed: a whole number, or below 1 a share of the run"


def _best_model(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Find a best model that could not be loaded, because it was not saved."""
    evaluated, saved = word(values["eval_strategy"]), word(values["save_strategy"])
    if not values["load_best_model_at_end"] or saved == "best":
        return
    if evaluated != saved:
        yield (
            "load_best_model_at_end",
            f"is on, with eval_strategy: {evaluated} and save_strategy: {saved}",
            _AS_OFTEN,
        )
    elif evaluated == "steps":
        between, every = values["eval_steps"] or values["logging_steps"] or 0, values["save_steps"] or 0
        if between > 0 and not _is_multiple(every, between):
            problem = f"is {_plain(every)}, and not a multiple of eval_steps, {_plain(between)}"
            remedy = "The best model is to be loaded: save as often as you evaluate, or every second or third time"
            yield "save_steps", problem, remedy


def _plain(number: float) -> str:
    """Return a number of steps as a recipe writes it: 30, not 30.0."""
    return str(int(number)) if number == int(number) else str(number)


def _is_multiple(number: float, of: float) -> bool:
    """Tell whether one number of steps holds another whole times; a share of the run is no multiple of steps."""
    if (number < 1) != (of < 1):
        return False
    scale = 1_000_000 if of < 1 else 1  # shares as whole numbers, which have no rounding
    return (number * scale) % (of * scale) == 0


def _precision(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Find two precisions at once."""
    for kind in ("", "_full_eval"):
        if values[f"fp16{kind}"] and values[f"bf16{kind}"]:
            yield f"fp16{kind}", f"is on, and so is bf16{kind}", "Keep one of them"


def _evaluation(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Find a schedule that waits for scores which no evaluation gives."""
    schedule = word(values["lr_scheduler_type"])
    if schedule in BY_SCORE and word(values["eval_strategy"]) == "no":
        yield "lr_scheduler_type", f"'{schedule}' follows validation, and nothing is evaluated", "Set eval_strategy"


def _workers(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Find batches to be made ahead without a worker."""
    ahead = values["dataloader_prefetch_factor"]
    if ahead is not None and values["dataloader_num_workers"] == 0:
        yield "dataloader_prefetch_factor", f"is {ahead}, and there are no workers", "Set dataloader_num_workers"


def _tokens(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Find what wants to know how many micro-batches a step has, where its tokens decide that."""
    if values["tokens_per_micro_batch"] is None:
        return
    key = "tokens_per_micro_batch"
    if values["gradient_accumulation_steps"] != 1:
        problem = "decides how many micro-batches a step has; gradient_accumulation_steps is {}"
        remedy = "Leave that out, and set per_device_train_batch_size to a process's rows of a whole step"
        yield key, problem.format(values["gradient_accumulation_steps"]), remedy
    if values["max_backward_passes"] is not None:
        problem = "gives each step as many micro-batches as it needs, so that max_backward_passes sets no length"
        yield key, problem, "Set max_steps or max_flops instead of that"
    if values.get("deepspeed"):
        yield key, "is set, and DeepSpeed counts on as many micro-batches in every step", "Leave it out"
