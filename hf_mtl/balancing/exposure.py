"""The exposure: a factor of each task in a step, which is there before any weighting."""

from typing import Literal

from torch import Tensor

Exposure = Literal["rows", "tasks"]
DEFAULT_EXPOSURE: Exposure = "rows"


def exposures(counts: Tensor, by: Exposure = DEFAULT_EXPOSURE) -> Tensor:
    """Compute the exposure of each task, kappa [T].

    ``rows``: K n_t / B, so that how often a task is drawn matters and equal weighting is the mean over rows.
    ``tasks``: K / m for the m present tasks, whatever their rows.

    Args:
        counts: Rows of each task in the step, n_t [T].
        by: ``rows`` or ``tasks``.
    """
    present = counts > 0
    if by == "rows":
        return len(counts) * counts / counts.sum()
    return present.to(counts.dtype) * len(counts) / present.sum()
