"""How much each task is preferred, in the aggregators that can prefer some."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from hf_mtl.balancing.checks import Positive, one_for_each
from hf_mtl.balancing.solvers import Array

GivenPreferences: TypeAlias = Sequence[Positive] | dict[str, Positive] | None


class Preferences:
    """Holds a positive number for each task, of which only the ratios count.

    Args:
        given: The numbers, in the order of the tasks; None: all alike.
        num_tasks: Number of tasks T.

    Raises:
        UserError: If there is not one number for each task.
    """

    def __init__(self, given: GivenPreferences, num_tasks: int):
        self._values = np.array(one_for_each(1.0 if given is None else given, num_tasks, "preferences"))

    def of(self, active: Array) -> Array:
        """Return the preferences of some tasks by their mean, [m]: those of the others are dropped.

        Args:
            active: The tasks, [m].
        """
        mine = self._values[active]
        if (mine == mine[0]).all():
            # Exactly 1, whatever the numbers are: no rounding tells equal preferences from none.
            return np.ones(len(mine))
        found: Array = mine * (len(mine) / mine.sum())
        return found
