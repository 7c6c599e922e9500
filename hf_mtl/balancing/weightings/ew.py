"""Equal weighting."""

from typing import ClassVar

import torch
from torch import Tensor

from hf_mtl.balancing.base import LossWeighting, register


@register("ew")
class EW(LossWeighting):
    """Weight every task by 1/T.

    With the exposure ``rows`` this is the plain mean over the rows of the step. (LibMTL documents 1/T and
    computes 1.)

    Shape:
        losses [T] -> weights [T], summing to 1.
    """

    source: ClassVar[str] = "baseline"
    other_names = ("equal_weighting", "equal", "uniform", "none")
    sums_to = "1"

    def coefficients(self) -> Tensor:
        """Return 1/T for every task, [T]."""
        return torch.full((self.num_tasks,), 1.0 / self.num_tasks, dtype=torch.float64)
