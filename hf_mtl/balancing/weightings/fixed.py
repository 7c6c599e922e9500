"""Weights that the user gives."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from hf_mtl.balancing.base import LossWeighting, register
from hf_mtl.balancing.checks import Positive, one_for_each


@register("fixed")
class Fixed(LossWeighting):
    """Weight each task by a given number.

    Args:
        weights: One positive number per task, in task order (a recipe names the tasks).
        num_tasks: Number of tasks T.
        weight_sum: Rescale the weights to this sum. None: as given.

    Raises:
        UserError: If there is not one weight for each task.
    """

    source: ClassVar[str] = "baseline"
    other_names = ("fixed_weights", "static", "constant", "manual")
    values: Tensor

    def __init__(
        self, num_tasks: int, weights: Sequence[Positive] | dict[str, Positive], weight_sum: Positive | None = None
    ):
        super().__init__(num_tasks, weight_sum)
        values = torch.tensor(one_for_each(weights, num_tasks, "weights"), dtype=torch.float64)
        self.register_buffer("values", values, persistent=False)

    def coefficients(self) -> Tensor:
        """Return the given weights, [T]."""
        return self.values
