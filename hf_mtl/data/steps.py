"""Hands out the plan of each step, moving the mixture only at the boundaries of windows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hf_mtl.data.mixture import Mixture
from hf_mtl.data.plan import MixtureState, Planner, StepPlan
from hf_mtl.errors import CheckpointError


class StepSource:
    """The plans of a run, one after the other; remembers one `MixtureState`.

    Args:
        mixture: Gives the probabilities of a window.
        planner: Turns them into rows.
        total_steps: Answers the number of optimizer steps of the run, asked when a window begins.
    """

    def __init__(self, mixture: Mixture, planner: Planner, total_steps: Callable[[], int]):
        self.mixture = mixture
        self.planner = planner
        self._total_steps = total_steps
        self.state = planner.first_window(self._probabilities(0))
        self._plans: list[StepPlan] | None = None

    def _probabilities(self, step: int) -> NDArray[np.float64]:
        progress = min(step / max(self._total_steps(), 1), 1.0)
        return np.array(list(self.mixture.probabilities(progress).values()))

    def plan(self, step: int) -> StepPlan:
        """The plan of a step of this window, or of a later one: windows only move forward.

        Raises:
            ValueError: If the step lies before the window.
        """
        if step < self.state.start:
            raise ValueError(f"step {step} was planned before the window that starts at {self.state.start}")
        while step >= self.window_end:
            probabilities = self._probabilities(self.window_end)
            self.state = self.planner.next_window(self.state, probabilities)
            self._plans = None
        if self._plans is None:
            self._plans = self.planner.window_plans(self.state)
        return self._plans[step - self.state.start]

    @property
    def window_end(self) -> int:
        """First step after the window."""
        return self.state.start + self.planner.window_steps

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: the window's state, and what must not differ from the first run."""
        return {
            "start": self.state.start,
            "probabilities": torch.from_numpy(self.state.probabilities.copy()),
            "cursors": torch.from_numpy(self.state.cursors.copy()),
            "identity": self.identity(),
        }

    def identity(self) -> dict[str, Any]:
        """The parts of a run that its plans depend on."""
        planner = self.planner
        return {
            "rows_per_step": planner.rows_per_step,
            "seed": planner.seed,
            "window_steps": planner.window_steps,
            "min_per_task": planner.min_per_task,
            "one_task_per_step": planner.one_task_per_step,
            "tasks": dict(planner.sizes),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where a checkpoint left off.

        Raises:
            CheckpointError: If the checkpoint is of a run with other data, seed or rows per step.
        """
        here, there = self.identity(), state["identity"]
        # As text: the order of the tasks counts, and equal dictionaries may differ in it.
        different = [key for key in here if str(here[key]) != str(there.get(key))]
        if different:
            what = "; ".join(f"{key} is {here[key]}, the checkpoint has {there.get(key)}" for key in different)
            raise CheckpointError(f"the checkpoint belongs to another run: {what}")
        self.state = MixtureState(int(state["start"]), state["probabilities"].numpy(), state["cursors"].numpy())
        self._plans = None
