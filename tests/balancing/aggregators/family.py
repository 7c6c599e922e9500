"""The registered aggregators, and steps as a trainer drives them.

A new aggregator needs nothing here unless it must be given options by task, or is an exception below.
"""

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from hf_mtl.balancing import AGGREGATORS, GradientAggregator, available, build_aggregator
from tests.balancing.aggregators.golden import random_rows, tensor

NAMES = [name for name, family in available().items() if family == "aggregator"]
LOSSES = tensor([0.7, 2.5, 0.2, 1.3])
T, P = 4, 9
ROWS = random_rows(T, P, seed=11)
"""Rows of which two pairs conflict."""
ORDERS = [[2, 1, 3], [0, 3, 2], [3, 0, 1], [1, 2, 0]]
PERMUTATIONS = [[1, 0, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]]
UNIFORMS = torch.rand(P, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

PER_TASK: dict[str, dict[str, Any]] = {"ngdiff": {"signs": 1}}
"""Options that must be given by task, with the value of each."""

REMEMBERING: dict[str, dict[str, Any]] = {"nash_mtl": {"every": 3}}
"""Options with which a method has more state; a wrapper gets a base that has some."""

ROUNDED = {"gradvac": 1e-5, "db_mtl": 1e-5}
"""Methods with a published 1e-8 beside denominators, at most 1e-6 of them: how far that carries."""

BOUNDED = ("mean", "mgda", "cagrad", "imgrad")
"""Methods whose result is never much longer than the longest row."""

MAIN = 2
"""The main task of a method that has one."""

DESCENDING = ("mgda", "upgrad", "cagrad", "aligned_mtl")
"""Methods whose result never opposes the mean row."""

every_aggregator = pytest.mark.parametrize("name", NAMES)


def build(name: str, tasks: int = T, main: int = MAIN, **options: Any) -> GradientAggregator:
    given: dict[str, Any] = {key: [value] * tasks for key, value in PER_TASK.get(name, {}).items()}
    if has_option(name, "main"):
        given["main"] = min(main, tasks - 1)
    return build_aggregator(name, num_tasks=tasks, **{**given, **options})


def step(aggregator: GradientAggregator, rows: Tensor, losses: Tensor | None = None, **more: Any) -> Tensor:
    """One decision; a second backward, where one is needed, finds rows a third longer."""
    if looks_ahead(aggregator):
        aggregator.observe(jacobian=rows * (4 / 3))
    losses = LOSSES[: len(rows)] if losses is None else losses
    return aggregator(rows, losses.to(rows), **more)


def looks_ahead(aggregator: GradientAggregator) -> bool:
    return "second_backward" in aggregator.needs


def has_option(name: str, option: str) -> bool:
    return option in inspect.signature(AGGREGATORS[name]).parameters


def is_gramian(name: str) -> bool:
    return hasattr(build(name), "weights_from_gramian")


def draws_of(name: str, order: list[int] | None = None) -> dict[str, Any]:
    """Randomness for the methods that take any, by the name of the argument, for tasks in another order."""
    order = list(range(T)) if order is None else order
    place = {task: position for position, task in enumerate(order)}
    orders = [[place[j] for j in ORDERS[task]] for task in order]
    functions = [getattr(AGGREGATORS[name], function, None) for function in ("__call__", "solve")]
    taken = {key for function in functions if function for key in inspect.signature(function).parameters}
    return {key: value for key, value in {"orders": orders, "uniforms": UNIFORMS}.items() if key in taken}
