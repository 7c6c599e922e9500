"""Metrics of the user's own: a function of one task's predictions, which may ask for the task's name."""

import inspect
import json
from collections.abc import Callable, Mapping
from functools import partial
from inspect import Parameter
from typing import Any, TypeAlias

import numpy as np
import torch
from transformers import EvalPrediction

from hf_mtl.data.processes import is_main_process
from hf_mtl.errors import Mistake, one_line
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

OwnMetrics: TypeAlias = Callable[..., Mapping[str, Any]]
"""As `transformers.Trainer` takes it, or with the task's name too: a parameter called ``task``, or a second one."""

_REMEDY = "Give a function of one argument, an EvalPrediction, or of two, that and the task's name"


def own_metrics_mistakes(function: object) -> list[Mistake]:
    """Find out before training that a ``compute_metrics`` cannot be called.

    Args:
        function: What was given; None: nothing.
    """
    if function is None:
        return []
    if not callable(function):
        return [Mistake("compute_metrics", f"is a {type(function).__name__}", _REMEDY)]
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # of some functions written in C nothing can be said
        return []
    more, named = _task_argument(function, "task")
    try:
        signature.bind(None, *more, **named)
    except TypeError as error:
        return [Mistake("compute_metrics", f"cannot be called: {one_line(error)}", _REMEDY)]
    return []


def own_scores(function: OwnMetrics, prediction: EvalPrediction, task: str) -> dict[str, Any]:
    """Call a ``compute_metrics`` for one task.

    Args:
        function: The function.
        prediction: The task's outputs and labels.
        task: The task's name.

    Returns:
        What it returns, as Python's own numbers. What no checkpoint could keep is left out, with a warning.
    """
    more, named = _task_argument(function, task)
    found = function(prediction, *more, **named)
    if not isinstance(found, Mapping):
        _say(f"returns {kind_of(found)} for '{task}', and no dictionary of numbers: nothing of it is reported.")
        return {}
    scores = plain(found)
    for key in [key for key, value in scores.items() if not _can_be_kept(value)]:
        _say(f"returns '{key}', {kind_of(scores.pop(key))} that a checkpoint cannot keep: it is left out.")
    result: dict[str, Any] = scores
    return result


def plain(value: Any) -> Any:
    """Numbers of numpy, torch and others, also within lists and mappings, as Python's own: JSON knows no others."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, torch.Tensor):
        return value.item() if value.numel() == 1 else value.tolist()
    if isinstance(value, np.ndarray):
        return value.item() if value.size == 1 else value.tolist()
    if isinstance(value, np.generic) and not isinstance(value, np.floating):
        return value.item()
    # Of long doubles `item` gives themselves; decimals and fractions are numbers too.
    known = isinstance(value, (int, str)) or not hasattr(value, "__float__")
    return value if known else float(value)


def _task_argument(function: object, task: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Find how a function wants the task's name, beside the predictions: by position, by keyword, or not at all.

    A second parameter that has a default and another name is an option of the function, and keeps its default.
    """
    try:
        _, *others = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return (), {}
    fixed = isinstance(function, partial) and "task" in function.keywords
    by_keyword = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    if not fixed and any(item.name == "task" and item.kind in by_keyword for item in others):
        return (), {"task": task}
    by_position = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    if others and others[0].kind in by_position and others[0].default is Parameter.empty:
        return (task,), {}
    return (), {}


def _can_be_kept(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def is_number(value: object) -> bool:
    """Tell whether a score can be compared with others; NaN, for one that is undefined, is a number too."""
    return isinstance(value, (int, float))


def kind_of(value: object) -> str:
    """Name the type of a value, as in "a list"."""
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _say(text: str) -> None:
    if is_main_process():
        logger.warning_once(f"compute_metrics {text}")
