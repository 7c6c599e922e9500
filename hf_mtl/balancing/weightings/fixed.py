"""Weights that the user gives."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from hf_mtl.balancing.base import LossWeighting, one_per_task, register
from hf_mtl.balancing.checks import Positive


@register("fixed")
class Fixed(LossWeighting):
    """Weight each task by a given number.

    Args:
        weights: One positive number per task, in task order (a recipe names the tasks).
        num_tasks: Number of tasks T.
        weight_sum: Rescale the weights to this sum. None: as given.

    Raises:
        ValueError: If a weight is missing or not positive.
    """

    source: ClassVar[str] = "baseline"
    values: Tensor

    def __init__(
        self, num_tasks: int, weights: Sequence[Positive] | dict[str, Positive], weight_sum: Positive | None = None
    ):
        super().__init__(num_tasks, weight_sum)
        given = list(weights.values()) if isinstance(weights, dict) else list(weights)
        self.register_buffer("values", one_per_task(given, num_tasks, "weights"), persistent=False)

    def coefficients(self) -> Tensor:
        """The given weights, [T]."""
        return self.values
