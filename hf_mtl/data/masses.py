"""Masses: the weight of each row of a split in the mean of its task's losses."""

import numpy as np

from hf_mtl.errors import DataError, Mistake
from hf_mtl.tasks import Task


def row_masses(name: str, task: Task, labels: np.ndarray) -> np.ndarray | None:
    """Ask a task for the masses of a split's rows.

    Args:
        name: The task's name.
        task: The task.
        labels: The labels of the rows, [n, ...].

    Returns:
        Masses [n]; None: 1 each, which costs nothing from here on.

    Raises:
        DataError: If the task's type does not give one finite number from 0 on for each row.
    """
    masses = task.masses(labels)
    if masses is None:
        return None
    masses = np.asarray(masses)
    shaped = masses.shape == (len(labels),)
    if not shaped or not (np.isfinite(masses) & (masses >= 0)).all():
        wrong_shape = f"the masses of {len(labels):,} rows have the shape {masses.shape}"
        found = "some masses are negative or not finite" if shaped else wrong_shape
        remedy = f"Mend {type(task).__name__}.masses: one number for each row"
        raise DataError(Mistake(f"tasks.{name}.type", found, remedy))
    return None if (masses == 1).all() else masses
