"""Dynamic weight average."""

from typing import ClassVar

import torch
from torch import Tensor

from hf_mtl.balancing.base import register
from hf_mtl.balancing.checks import FromOne, Positive
from hf_mtl.balancing.step_count import CountsEpochs


@register("dwa")
class DWA(CountsEpochs):
    """Weight tasks by how slowly their losses have been falling: T softmax(r / temperature).

    r_t is the mean loss of the last window over that of the window before, 1 where a task has not been seen in two
    windows or the older mean is at most 1e-12; so the first two windows have equal weights.

    Source: Liu, Johns, Davison, CVPR 2019, arXiv:1803.10704. Departs from it in that a window may be other than an
    epoch, and a window in which a task has no rows leaves both its means as they were.

    Costs nothing. State: two means per task, the sums and counts of the open window, the step.

    Args:
        temperature: Softmax temperature, dimensionless; larger is more uniform.
        window_steps: Averaging length, in optimizer steps; None for an epoch, as ``observe(steps_per_epoch=)`` says.
        num_tasks: Number of tasks T.
        weight_sum: Rescale the weights to this sum. None: T.

    Shape:
        losses [T], nats -> weights [T], summing to T.
    """

    source: ClassVar[str] = "arXiv:1803.10704"
    other_names = ("dynamic_weight_average", "dynamic_weight_averaging")
    sums_to = "T"
    until_then = "its weights stay equal. Train for three windows, or set window_steps"
    means: Tensor
    windows: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(
        self,
        num_tasks: int,
        temperature: Positive = 2.0,
        window_steps: FromOne | None = None,
        weight_sum: Positive | None = None,
    ):
        super().__init__(num_tasks, weight_sum)
        self.temperature = temperature
        self.window_steps = window_steps
        self.register_buffer("means", torch.zeros(2, num_tasks, dtype=torch.float64))
        self.register_buffer("windows", torch.zeros(num_tasks, dtype=torch.int64))
        self.register_buffer("sums", torch.zeros(num_tasks, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(num_tasks, dtype=torch.int64))

    @property
    def window(self) -> int | None:
        """Steps of a window; None while an epoch's length is not known."""
        return self.epoch if self.window_steps is None else self.window_steps

    def warm_up(self) -> int | None:
        """Return two windows."""
        return None if self.window is None else 2 * self.window

    def coefficients(self) -> Tensor:
        """Compute T softmax(r / temperature), [T]."""
        newer, older = self.means
        usable = (self.windows >= 2) & (older > 1e-12)
        ratios = torch.where(usable, newer / torch.where(usable, older, 1.0), 1.0)
        return self.num_tasks * torch.softmax(ratios / self.temperature, dim=0)

    def record(self, losses: Tensor, seen: Tensor) -> None:
        """Add the step to the open window, and close that at its end."""
        super().record(losses, seen)
        self.sums = self.sums + torch.where(seen, losses, 0.0)
        self.counts = self.counts + seen
        if self.window is None:
            self._say_unknown_epoch("its weights stay 1: give window_steps, or observe(steps_per_epoch=)")
        elif self.steps % self.window == 0:
            self._close()

    def _close(self) -> None:
        found = self.counts > 0
        shifted = torch.stack([self.sums / self.counts.clamp(min=1), self.means[0]])
        self.means = torch.where(found, shifted, self.means)
        self.windows = self.windows + found
        self.sums, self.counts = torch.zeros_like(self.sums), torch.zeros_like(self.counts)
