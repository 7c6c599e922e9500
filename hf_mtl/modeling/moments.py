"""Running mean and variance of a task's latents."""

import math
from typing import ClassVar

import torch
from torch import Tensor
from transformers import initialization as init

from hf_mtl.modeling.float32 import KeepsFloat32
from hf_mtl.modeling.gaussian import LOG_VARIANCE_BOUND, bounded


class RunningMoments(KeepsFloat32):
    """Mean and variance of Gaussian latents over the examples of the last steps; lives in the checkpoint.

    They are the moments of ``z`` itself when an example is drawn too: mean ``E[mu]``, variance
    ``E[Sigma + mu^2] - E[mu]^2``. The sums of each step's rows join exponentially decayed sums, their count with
    them, so that every row counts the same, the start needs no correction, and steps without rows change nothing.

    Args:
        width: Width D of the latents.
        momentum: Share of the sums that a step with rows keeps; 0.99 remembers about a hundred such steps.
    """

    in_float32: ClassVar[tuple[str, ...]] = ("sums",)

    def __init__(self, width: int, momentum: float = 0.99):
        super().__init__()
        self.momentum = momentum
        self.sums: Tensor
        # The count, the sums of the means, the sums of the second moments: one tensor, to reduce at once.
        self.register_buffer("sums", torch.zeros(1 + 2 * width, dtype=torch.float32))
        self._step: Tensor | None = None

    def observe(self, mean: Tensor, log_variance: Tensor) -> None:
        """Take in rows of this step; what `moments` gives does not change before `update`.

        A pass without gradient, which looks at the step's rows once more, counts for nothing.

        Args:
            mean: Means [n, D].
            log_variance: Log-variances [n, D].
        """
        if not torch.is_grad_enabled():
            return
        mean, second = mean.detach().float(), bounded(log_variance.detach()).exp()
        second = second + mean**2
        sums = torch.cat([mean.new_full((1,), len(mean)), mean.sum(dim=0), second.sum(dim=0)])
        self._step = sums if self._step is None else self._step + sums

    def step_sums(self) -> Tensor:
        """Return the sums over the rows of this step on this process [1 + 2 D]."""
        return torch.zeros_like(self.sums, dtype=torch.float32) if self._step is None else self._step

    def abandon(self) -> None:
        """Forget the rows of this step."""
        self._step = None

    def update(self, sums: Tensor) -> Tensor:
        """Close the step.

        Args:
            sums: What `step_sums` returned, added up over the processes. Where they are not finite, as those of a
                step that is skipped, they count for nothing: they would stay.

        Returns:
            Whether the step had rows that count, bool scalar.
        """
        self._step = None
        sums = torch.where(sums.isfinite().all(), sums, 0.0)
        counts = sums[0] > 0
        decay = torch.where(counts, self.momentum, 1.0)
        self.sums.copy_(decay * self.sums + sums)
        return counts

    @property
    def seen(self) -> Tensor:
        """Tell whether there was any row, bool scalar."""
        return self.sums[0] > 0

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return mean [D] and variance [D], float32; finite but meaningless before the first row."""
        # 0 over the smallest number is 0: a branch on the count would wait for the device.
        count = self.sums[0].clamp(min=torch.finfo(torch.float32).tiny)
        mean, second = (self.sums[1:] / count).float().chunk(2)
        variance = (second - mean**2).clamp(min=math.exp(-LOG_VARIANCE_BOUND))
        return mean, variance

    def reset(self) -> None:
        """Forget all rows."""
        init.zeros_(self.sums)
