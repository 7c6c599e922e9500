"""Rosters: the tasks that take part in each step of a window, and their coefficients, as schedules say."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_mtl.data.permutation import derive_key, uniform


@dataclass(frozen=True)
class Roster:
    """The tasks of W steps.

    Args:
        coefficients: gamma_t of each step, [W, T]. 0: the task is absent.
        participation: Probability that a task takes part in a step, [W, T].
        redistributed: Whether the rows of an absent task go to the others, [W, T]; otherwise the step shrinks.
    """

    coefficients: NDArray[np.float64]
    participation: NDArray[np.float64]
    redistributed: NDArray[np.bool_]

    @classmethod
    def everyone(cls, steps: int, tasks: int) -> "Roster":
        """Return the roster of all tasks in all steps."""
        ones = np.ones((steps, tasks))
        return cls(ones, ones, np.zeros((steps, tasks), dtype=bool))

    def present(self, seed: int, start: int) -> NDArray[np.bool_]:
        """Tell which tasks take part, [W, T]: those with a coefficient, that the draw of the step lets in.

        Args:
            seed: Seed of the draws.
            start: The first of the W steps.
        """
        if ((self.participation == 0) | (self.participation == 1)).all():
            return (self.coefficients > 0) & (self.participation > 0)  # whatever the draws, which are below 1
        steps, tasks = self.coefficients.shape
        numbers = np.repeat(np.arange(start, start + steps), tasks), np.tile(np.arange(tasks), steps)
        draws = uniform(derive_key(seed, "participation", *numbers)).reshape(steps, tasks)
        return (self.coefficients > 0) & (draws < self.participation)
