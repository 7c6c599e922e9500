"""Weightings that count their steps, or their epochs."""

import warnings
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from hf_mtl.balancing.base import LossWeighting
from hf_mtl.balancing.checks import Positive, whole
from hf_mtl.data.processes import is_main_process
from hf_mtl.shown import get_logger

logger = get_logger(__name__)


class CountsSteps(LossWeighting):
    """Counts the optimizer steps so far, in ``steps``.

    The count is a Python number, with its state as a tensor: reading a buffer would wait for the device in every
    step.

    Args:
        num_tasks: Number of tasks T.
        weight_sum: Rescale the coefficients to this sum. None: the method's own scale.
    """

    def __init__(self, num_tasks: int, weight_sum: Positive | None = None):
        super().__init__(num_tasks, weight_sum)
        self.steps = 0

    def record(self, losses: Tensor, seen: Tensor) -> None:
        """Count the step."""
        self.steps += 1

    def get_extra_state(self) -> Tensor:
        """Return the count, int64 []."""
        return torch.tensor(self.steps)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the count."""
        self.steps = int(state)


class CountsEpochs(CountsSteps, ABC):
    """Counts steps, knows how many make an epoch, and says once where a run ends before the method has begun.

    Subclasses define `warm_up`.

    Attributes:
        until_then: What has no effect during the warm-up, and what would shorten it.

    Args:
        num_tasks: Number of tasks T.
        weight_sum: Rescale the coefficients to this sum. None: the method's own scale.
    """

    until_then: ClassVar[str]

    def __init__(self, num_tasks: int, weight_sum: Positive | None = None):
        super().__init__(num_tasks, weight_sum)
        self.epoch: int | None = None
        self._total: int | None = None
        self._told: set[str] = set()

    def observe(self, **facts: Any) -> None:
        """Take ``steps_per_epoch=`` and ``total_steps=``, the optimizer steps of an epoch and of the run."""
        if "steps_per_epoch" in facts:
            self.epoch = whole(facts["steps_per_epoch"], "steps_per_epoch", at_least=1)
        if facts.get("total_steps") is not None:
            self._total = whole(facts["total_steps"], "total_steps", at_least=0)
        steps = self.warm_up()
        if self._total is not None and steps is not None and steps > 0 and self._total <= steps:
            self._say_too_short(self._total, steps)

    @abstractmethod
    def warm_up(self) -> int | None:
        """Tell how many steps a run has before the method decides anything; None where that is not known yet."""

    def _say_too_short(self, total: int, steps: int) -> None:
        if "short" not in self._told and is_main_process():
            self._told.add("short")
            logger.warning(
                f"The run ends after {total} steps, and the weighting '{type(self).name}' begins after {steps}: "
                f"{self.until_then}."
            )

    def _say_unknown_epoch(self, consequence: str) -> None:
        if "epoch" not in self._told and is_main_process():
            self._told.add("epoch")
            warnings.warn(
                f"the weighting '{type(self).name}' does not know how long an epoch is, so {consequence}",
                stacklevel=2,
            )
