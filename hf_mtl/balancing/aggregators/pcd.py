"""The main task's gradient, bent as little as lets every other task progress."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from hf_mtl.balancing.aggregator import Scope, register
from hf_mtl.balancing.checks import NotNegative, Portion, Share
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.balancing.solvers import Array, cosine_factor, least_distance
from hf_mtl.errors import Mistake, UserError, known
from hf_mtl.plain import describe

APART = 1e-3
"""What is closer than this to a contradiction, or to no direction at all, is the rounding of a float32 Gramian."""

NEGLIGIBLE = 1e-6
"""A length below this fraction of the main task's is none, also where a constraint asks for it."""


@register("pcd")
class PCD(GramianAggregator):
    """Follow the main task as closely as possible while every other task makes a share of its own progress.

    Source: "Not All Objectives Are Born Equal: Priority-Constrained Descent", arXiv:2606.29521. Each row is divided
    by the root of the moving average of its squared norm: s_t = (v_t + epsilon max v)^(-1/2). d is the nearest
    direction to s_main g_main with (s_t g_t)ᵀ d >= tau |s_t g_t|² for every other task of the step, and the result
    has d's direction and g_main's length. Solved exactly as a least-distance problem (TorchJD has the same program).
    Departures: epsilon is a fraction of the largest average, not a number; a task's average counts its own steps, and
    rests where the task is absent. Without the main task in a step, the mean of the others; where its gradient
    vanishes, or d does, no update; where the others contradict each other to within 0.001, g_main.

    Needs G. Cost: G, and two small non-negative least squares. Scale: own; the result is as long as g_main. State:
    the averages and the steps of each task.

    Args:
        num_tasks: Number of tasks T.
        main: The main task, or its place among the tasks, from 0.
        tau: Share of its own progress that each other task is to make: one number, or one for each of them by name.
        beta: Share of the past in the averages, in [0, 1).
        epsilon: What is added to each average, as a fraction of the largest.
        scope: Parameters whose gradients decide.
        tasks: The tasks, in order.

    Shape:
        J [T, P] -> [P]; weights not negative.

    Raises:
        UserError: If the main task is none of the tasks, or ``tau`` does not name the others.
    """

    source = "arXiv:2606.29521"
    other_names = ("priority_constrained_descent",)
    scale = "own"
    cost = "Gramian"
    remembers = ("average", "steps")
    by_name: ClassVar[frozenset[str]] = frozenset({"tau"})
    main: int

    def __init__(
        self,
        num_tasks: int,
        main: str | Annotated[int, Field(ge=0)],
        tau: Portion | dict[str, Portion] = 0.02,
        beta: Share = 0.999,
        epsilon: NotNegative = 1e-8,
        scope: Scope = "all",
        tasks: Sequence[str] | None = None,
    ):
        super().__init__(num_tasks, scope)
        self.names = list(self.names if tasks is None else tasks)
        self.main = _place(main, self.names)
        self.tau = _shares(tau, self.names, self.main)
        self.beta = beta
        self.epsilon = epsilon
        self.average: Tensor = torch.zeros(num_tasks, dtype=torch.float64)
        self.steps: Tensor = torch.zeros(num_tasks, dtype=torch.int64)
        self._main_is_there = True

    def remember(self, squares: Array, there: Array) -> None:
        """Move the averages of the tasks that are there."""
        moved = self.beta * self.average.numpy() + (1.0 - self.beta) * squares
        self.average = torch.from_numpy(np.where(there, moved, self.average.numpy()))
        self.steps = self.steps + torch.from_numpy(there)
        self._main_is_there = bool(there[self.main])

    def single(self, task: int) -> float:
        """Return 0 where the main task is there and its gradient vanishes; else the row stays as it is."""
        return 0.0 if self._main_is_there and task != self.main else 1.0

    def solve(self, gramian: Array, active: Array, losses: Array | None, **draws: Any) -> Array:
        """Return the weights of the direction nearest to the main task's that keeps every constraint."""
        m = len(gramian)
        if self.main not in active:
            return np.zeros(m) if self._main_is_there else np.full(m, 1.0 / m)
        place = int(np.flatnonzero(active == self.main)[0])
        others = np.arange(m) != place
        scales = self._scales(active)
        lengths = scales * np.sqrt(np.diag(gramian))  # |s_t g_t|
        directions = cosine_factor(gramian)[1]
        weights = np.zeros(m)
        weights[place] = 1.0
        # Along the unit rows the constraints are: so much length at least.
        wanted = self.tau[active[others]] * lengths[others]
        units, main = directions[:, others], lengths[place] * directions[:, place]
        if least_distance(units, wanted)[1] > wanted.max() / APART:
            return weights  # what the others ask for cannot be had together
        multipliers, _ = least_distance(units, wanted - main @ units)
        length = float(np.linalg.norm(main + units @ multipliers))
        # Where a constraint asks for some length, d is no smaller; else what remains of a cancellation is rounding.
        if length <= APART * lengths[place] and wanted.max() <= NEGLIGIBLE * lengths[place]:
            return np.zeros(m)
        weights[others] = multipliers * scales[others] / lengths[others] / scales[place]
        found: Array = weights * (lengths[place] / length)
        return found

    def _scales(self, active: Array) -> Array:
        """Return s_t of the active tasks, [m]."""
        # The averages began at 0 and are too small until many values came: the correction of Adam.
        averages = self.average.numpy()[active] / (1.0 - self.beta ** self.steps.numpy()[active])
        found: Array = 1.0 / np.sqrt(averages + self.epsilon * averages.max())
        return found


def _place(main: str | int, names: Sequence[str]) -> int:
    """Return the place of the main task.

    Raises:
        UserError: If there is no such task.
    """
    if isinstance(main, str):
        if main not in names:
            raise UserError(Mistake("main", f"unknown task '{main}'", known(names, main)))
        return list(names).index(main)
    if main >= len(names):
        raise UserError(Mistake("main", f"found {main}", f"Allowed: a task, or its place, up to {len(names) - 1}."))
    return main


def _shares(tau: float | dict[str, float], names: Sequence[str], main: int) -> Array:
    """Return the share of each task, [T]; that of the main task is not read.

    Raises:
        UserError: If the others are not named, each once, and nothing else.
    """
    if not isinstance(tau, dict):
        return np.full(len(names), float(tau))
    if wrong := list(_wrong_shares(tau, names, main)):
        raise UserError(wrong)
    return np.array([tau.get(name, 0.0) for name in names], dtype=np.float64)


def _wrong_shares(tau: dict[str, float], names: Sequence[str], main: int) -> Iterator[Mistake]:
    others = [name for name in names if name != names[main]]
    if names[main] in tau:
        problem = f"found {describe(tau[names[main]])}, and the main task is not held to any progress"
        yield Mistake(f"tau.{names[main]}", problem, "Leave it out.")
    for name in tau:
        if name not in names:
            yield Mistake(f"tau.{name}", f"unknown task '{name}'", known(others, name))
    if absent := [name for name in others if name not in tau]:
        yield Mistake("tau", f"nothing for {', '.join(absent)}", "Give one value for every task but the main one.")
