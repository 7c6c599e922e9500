"""The registered weightings, and steps as a trainer drives them.

A new weighting needs nothing here unless it has options by task, or is an exception below.
"""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor

from hf_mtl.balancing import WEIGHTINGS, LossWeighting, available, build_weighting

NAMES = [name for name, family in available().items() if family == "weighting"]
ADDITIVE = [name for name in NAMES if WEIGHTINGS[name].additive]
NON_ADDITIVE = [name for name in NAMES if name not in ADDITIVE]

SIZES = [50, 7, 300, 20]
T = len(SIZES)
LOSSES = torch.tensor([0.7, 2.5, 0.01, 1.3], dtype=torch.float64)
PARTLY = torch.tensor([True, False, True, False])
PERMUTATIONS = [[1, 0, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]]

PER_TASK: dict[str, dict[str, list[Any]]] = {
    "fixed": {"weights": [0.3, 1.0, 2.0, 0.7]},
    "uw": {
        "init": [0.1, -0.4, 0.0, 1.0],
        "task_types": ["classification", "regression", "regression", "classification"],
    },
}
"""Options that hold one value per task, by weighting."""

QUICK: dict[str, dict[str, Any]] = {"gradnorm_scaling": {"every": 2}, "stch": {"warmup_epochs": 1}}
"""Options with which a few steps pass through everything that a weighting does."""

RESCALED: dict[str, dict[str, str]] = {"gradnorm": {"w": "ratio"}, "excess_mtl": {"log_w": "difference"}}
"""State that is brought to a common sum in every step: what of it stays for two absent tasks."""

OF_THE_STEP: dict[str, tuple[str, ...]] = {"famo": ("waiting",)}
"""State that is of the last step alone, absent tasks included."""

every_weighting = pytest.mark.parametrize("name", NAMES)


def variations(name: str) -> Iterator[dict[str, Any]]:
    """The default options, and each option with closed choices at each of its other values."""
    yield {}
    yield {"weight_sum": 2.0}
    cls = WEIGHTINGS[name]
    hints = get_type_hints(cls.__init__)
    for option, parameter in inspect.signature(cls).parameters.items():
        words = get_args(hints[option]) if get_origin(hints[option]) is Literal else ()
        values = (True, False) if hints[option] is bool else words
        yield from ({option: value} for value in values if value != parameter.default)


every_variation = pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name in NAMES for options in variations(name)]
)
single_task_is_said = pytest.mark.filterwarnings("ignore:the weighting .* balances only the tasks of one step")


def build(name: str, order: Sequence[int] = range(T), **options: Any) -> LossWeighting:
    """Build a weighting of some tasks in some order, told what a trainer tells at the start."""
    given = {key: [values[i] for i in order] for key, values in PER_TASK.get(name, {}).items()}
    quick = {} if options.get("variant") == "plain" else QUICK.get(name, {})  # plain STCH has no warm-up
    weighting = build_weighting(name, num_tasks=len(order), **{**quick, **given, **options})
    weighting.observe(sizes=[SIZES[i] for i in order], steps_per_epoch=2, total_steps=100, seed=3)
    weighting.observe(initial_losses=[1.0] * len(order))
    return weighting


def takes_normals(name: str) -> bool:
    """Whether its randomness, which belongs to places and not to tasks, can be given."""
    return "normals" in inspect.signature(WEIGHTINGS[name].forward).parameters


def facts_of(step: int, order: Sequence[int], present: Tensor) -> dict[str, Tensor]:
    """What a trainer measures in a step, for tasks in some order."""
    jacobian = torch.from_numpy(np.random.default_rng([1, step]).normal(size=(T, 6)))[list(order)]
    jacobian = torch.where(present[:, None], jacobian, 0.0)
    after = torch.from_numpy(np.random.default_rng([2, step]).uniform(0.1, 2.0, size=T))[list(order)]
    return {"norms": jacobian.norm(dim=1), "jacobian": jacobian, "losses_after": after}


def losses_of(step: int, order: Sequence[int]) -> Tensor:
    return torch.from_numpy(np.random.default_rng([0, step]).uniform(0.05, 3.0, size=T))[list(order)]


def one_step(
    weighting: LossWeighting, step: int, order: Sequence[int] = range(T), present: Tensor | None = None
) -> list[float]:
    """One optimizer step as a trainer drives it; the scalar, then the weights."""
    present = torch.ones(len(order), dtype=torch.bool) if present is None else present
    needed = weighting.needs_now()
    weighting.zero_grad()
    losses = torch.where(present, losses_of(step, order), torch.nan)
    total = weighting(losses, present)
    found = [total.item(), *weighting.weights().tolist()]
    if total.requires_grad:
        total.backward()
    with torch.no_grad():
        for parameter in weighting.parameters():
            assert parameter.grad is not None
            parameter.sub_(0.1 * parameter.grad)
    facts = facts_of(step, order, present)
    weighting.observe(present=present, **{key: facts[key] for key in sorted(needed - {"losses"})})
    weighting.after_step()
    return found


def run(weighting: LossWeighting, steps: Sequence[int], order: Sequence[int] = range(T)) -> list[float]:
    """A few steps, one after another."""
    return [value for step in steps for value in one_step(weighting, step, order)]


def presence(step: int) -> Tensor:
    """Two or three of the four tasks, others in every step."""
    return torch.tensor([(task + step) % 3 != 0 for task in range(T)])
