"""Affinities of tasks as a matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class AffinityMatrix:
    """Affinities of tasks to each other.

    Args:
        tasks: The tasks' names, [T].
        values: Affinity of task i (row) to task j (column), float64 [T, T]: the part by which j's loss drops when i
            joins. The diagonal says nothing of groups: 0, or what a task's own step does.
        errors: Standard error of each, [T, T], over what was drawn: sampled steps, or validation rows.
        method: How they were measured, ``lookahead`` or ``linearised``.
    """

    tasks: tuple[str, ...]
    values: Matrix
    errors: Matrix
    method: str

    @property
    def pairs(self) -> dict[tuple[str, str], float]:
        """The affinity of each ordered pair of different tasks."""
        places = range(len(self.tasks))
        return {(self.tasks[i], self.tasks[j]): float(self.values[i, j]) for i in places for j in places if i != j}


def mean_and_error(samples: Sequence[Matrix]) -> tuple[Matrix, Matrix]:
    """Average matrices, and give the standard error of each mean: nan of a single one.

    Args:
        samples: Matrices of one shape, one or more.
    """
    stacked = np.stack(samples)
    mean: Matrix = stacked.mean(axis=0)
    if len(stacked) < 2:
        return mean, np.full_like(mean, np.nan)
    return mean, stacked.std(axis=0, ddof=1) / np.sqrt(len(stacked))


def error_of_sum(samples: Sequence[Matrix], weights: Matrix) -> float:
    """Return the standard error of a weighted sum of the means of matrices: nan of a single one.

    Args:
        samples: Matrices of one shape.
        weights: Of that shape.
    """
    _, error = mean_and_error([np.array((weights * sample).sum()) for sample in samples])
    return float(error)
