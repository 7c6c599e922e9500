"""What a micro-batch carries from the data to the step that trains on it."""

from typing import TypedDict


class StepFacts(TypedDict):
    """Tell a micro-batch of its optimizer step; under ``plan`` in the batch.

    Plain numbers, worked out from the plan alone: every process knows them without asking the others. Lists have
    one value per task, in task order, and all but ``own_masses`` are of the whole step, on every process the same.

    Keys:
        step: The optimizer step, from 0.
        counts: Rows of each task, n_t: how much a task counts (its exposure) follows them.
        nominal: What n_t would be if a schedule had dropped no rows.
        gamma: Coefficients gamma_t of the schedules.
        masses: Sum of the masses of each task's rows, M_t: L_t is the sum of the row losses over it.
        own_masses: The same of the rows of this micro-batch alone.
    """

    step: int
    counts: list[int]
    nominal: list[int]
    gamma: list[float]
    masses: list[float]
    own_masses: list[float]


def divisor(mass: float) -> float:
    """Return what a sum of row losses is divided by.

    Rows whose masses sum to 0 have losses of 0: over 1 their mean is 0, over 0 it would be nan.
    """
    return mass or 1.0
