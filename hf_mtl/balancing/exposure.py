"""The exposure: a factor of each task in a step, which is there before any weighting."""

from typing import Literal

from torch import Tensor

Reduction = Literal["rows", "tasks"]
DEFAULT_REDUCTION: Reduction = "rows"


def exposure(counts: Tensor, reduction: Reduction = DEFAULT_REDUCTION) -> Tensor:
    """Compute the exposure of each task, kappa [T].

    ``rows``: K n_t / B, so that how often a task is drawn matters and equal weighting is the mean over rows.
    ``tasks``: K / m for the m present tasks, whatever their rows.

    Args:
        counts: Rows of each task in the step, n_t [T].
        reduction: ``rows`` or ``tasks``.
    """
    present = counts > 0
    if reduction == "rows":
        return len(counts) * counts / counts.sum()
    return present.to(counts.dtype) * len(counts) / present.sum()
