"""The source of plans: hands out one for each step, and moves the mixture at the boundaries of windows only."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hf_mtl.data.course import Course
from hf_mtl.data.mixture import Mixture
from hf_mtl.data.plan import MixtureState, Planner, StepPlan
from hf_mtl.data.roster import Roster
from hf_mtl.data.streams import Streams
from hf_mtl.errors import CheckpointError


class StepSource:
    """The plans of a run, one after the other; remembers one `MixtureState`.

    Args:
        mixture: Gives the probabilities of a window.
        planner: Turns them into rows.
        course: Knows the number of optimizer steps of the run, asked when a window begins.
        roster: Answers which tasks take part in the steps of a window, given its first step; None: all.
        on_window: Called with the first step of a window when it begins, before anything of it is asked.
        streams: The tasks of each stream that the planner draws from; None: each task is one.
    """

    def __init__(
        self,
        mixture: Mixture,
        planner: Planner,
        course: Course,
        roster: Callable[[int], Roster] | None = None,
        on_window: Callable[[int], None] | None = None,
        streams: Streams | None = None,
    ):
        self._streams = streams
        self.mixture = mixture
        self.planner = planner
        self._course = course
        self._roster = roster
        self._on_window = on_window
        self._begun = False  # whether `on_window` knows of the window that `state` is at
        self.state = planner.first_window(self._probabilities(0))
        self._tasks: Roster | None = None  # of the window, settled when it begins
        self._plans: list[StepPlan] | None = None

    def _probabilities(self, step: int) -> NDArray[np.float64]:
        progress = min(step / max(self._course.total_steps, 1), 1.0)
        return np.array(list(self.mixture.probabilities(progress).values()))

    def plan(self, step: int) -> StepPlan:
        """Return the plan of a step of this window, or of a later one: windows only move forward.

        Raises:
            ValueError: If the step lies before the window.
        """
        if step < self.state.start:
            raise ValueError(f"step {step} was planned before the window that starts at {self.state.start}")
        self._begin()
        while step >= self.window_end:
            # The window that ends is closed with its own tasks, before anything moves on.
            self.state = self.planner.next_window(self.state, self.state.probabilities, self._drawn)
            self._plans, self._tasks, self._begun = None, None, False
            self._begin()
            self.state = replace(self.state, probabilities=self._probabilities(self.state.start))
        if self._plans is None:
            drawn = self.planner.window_plans(self.state, self._drawn)
            if self._streams is not None:
                drawn = self._streams.plans(self.planner, self.state, self._tasks, drawn)
            self._plans = drawn
        return self._plans[step - self.state.start]

    @property
    def _drawn(self) -> Roster | None:
        """What takes part in the window as the planner knows it: tasks, or streams."""
        if self._streams is None or self._tasks is None:
            return self._tasks
        return self._streams.roster(self._tasks, self.planner.seed, self.state.start)

    def _begin(self) -> None:
        """Settle the window; once, whatever becomes of the schedules or the length of the run while it lasts."""
        if not self._begun and self._on_window is not None:
            self._on_window(self.state.start)
        self._begun = True
        if self._tasks is None and self._roster is not None:
            self._tasks = self._roster(self.state.start)

    def coming_rows(self, name: str, step: int, most: int) -> NDArray[np.int64]:
        """Return the rows of a task that the plan has next, none twice, and leave them there.

        Args:
            name: The task.
            step: The step from which on they are wanted: of this window, or the first after it.
            most: How many at most; a task with fewer gives all that it has.
        """
        index, size = list(self.planner.sizes).index(name), self.planner.sizes[name]
        counts, _ = self.planner.window_counts(self.state, self._drawn)
        first = int(self.state.cursors[index] + counts[: step - self.state.start, index].sum())
        count = min(most, size)
        if first % size + count > size:
            first = (first // size + 1) * size  # the end of a pass and the beginning of the next may share rows
        return self.planner.rows_at(name, first + np.arange(count))

    @property
    def window_end(self) -> int:
        """Return the first step after the window."""
        return self.state.start + self.planner.window_steps

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: the window's state, and what must not differ from the first run."""
        settled = {} if self._tasks is None else vars(self._tasks)
        return {
            "start": self.state.start,
            "probabilities": torch.from_numpy(self.state.probabilities.copy()),
            "cursors": torch.from_numpy(self.state.cursors.copy()),
            "identity": self.identity(),
            **{f"window_{key}": torch.from_numpy(value.copy()) for key, value in settled.items()},
        }

    def identity(self) -> dict[str, Any]:
        """Return the parts of a run that its plans depend on."""
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
        self._begun = True  # its beginning is in the checkpoint
        settled = [state[key].numpy() for field in fields(Roster) if (key := f"window_{field.name}") in state]
        self._tasks = Roster(*settled) if settled else None
