"""Weightings that count their steps."""

import torch
from torch import Tensor

from hf_mtl.balancing.base import LossWeighting


class CountsSteps(LossWeighting):
    """Counts the optimizer steps so far, in ``steps``.

    The count is a Python number, with its state as a tensor: reading a buffer would wait for the device in every
    step.

    Args:
        num_tasks: Number of tasks T.
        weight_sum: Rescale the coefficients to this sum. None: the method's own scale.
    """

    def __init__(self, num_tasks: int, weight_sum: float | None = None):
        super().__init__(num_tasks, weight_sum)
        self.steps = 0

    def record(self, losses: Tensor, seen: Tensor) -> None:
        """Count the step."""
        self.steps += 1

    def get_extra_state(self) -> Tensor:
        """The count, int64 []."""
        return torch.tensor(self.steps)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the count."""
        self.steps = int(state)


def steps_of(value: int | None, what: str) -> int | None:
    """A number of steps, or None.

    Raises:
        ValueError: If it is less than 1.
    """
    if value is not None and value < 1:
        raise ValueError(f"{what} is {value}; needs at least 1")
    return value
