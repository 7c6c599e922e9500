"""The interface of a learner of task probabilities."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hf_mtl.components import Kind


@dataclass(frozen=True)
class GradientLook:
    """One look at a task's gradient of the shared parameters, on a few rows.

    Args:
        squared_norm: An unbiased estimate of |grad L_t|², which may be negative.
        variance: An unbiased estimate of the variance of one row's gradient, over all parameters.
    """

    squared_norm: float
    variance: float


class Learner(ABC):
    """Learns how often each task is drawn; what it has seen takes effect at the next boundary of a window.

    Register with ``@register("my_learner")`` in a module of this package; keyword arguments are recipe options.

    Attributes:
        name: Its recipe name.
        tasks: The tasks, in task order.
        from_validation: Whether losses are those of evaluations, not of training; said when training begins.
        follows_losses: Whether losses and metrics move it, of training or of evaluations.
        moves: What it moves, in words.
        rows_of_look: The most rows of a task that a look at its gradient takes; 0: it looks at none.
    """

    name: ClassVar[str]
    tasks: list[str]
    from_validation: bool = False
    follows_losses: ClassVar[bool] = True
    moves: ClassVar[str] = "a temperature"
    rows_of_look: ClassVar[int] = 0

    @property
    def follows_metrics(self) -> bool:
        """Tell whether it can do nothing without a validation metric of every task."""
        return False

    @property
    @abstractmethod
    def first_move(self) -> int:
        """Return the first step before which it may move anything."""

    @abstractmethod
    def probabilities(self) -> NDArray[np.float64]:
        """Return the probability of each task now, [T]."""

    def gauges(self) -> dict[str, float]:
        """Return what to log after every step, by name."""
        return {}

    def observe_losses(self, losses: Mapping[str, float]) -> None:  # noqa: B027 - not every learner does
        """Learn the training losses of the tasks that a step had; nothing here."""

    def observe_evaluation(  # noqa: B027 - not every learner does
        self, losses: Mapping[str, float], metrics: Mapping[str, float]
    ) -> None:
        """Learn the validation losses and the primary metrics of the tasks; nothing here."""

    def looks_before(self, step: int) -> bool:
        """Tell whether it wants to be told the tasks' gradients before a step, and so before the window that may
        begin with it; never, here.
        """
        return False

    def observe_gradients(  # noqa: B027 - not every learner does
        self, looks: Mapping[str, GradientLook], rows_per_step: int
    ) -> None:
        """Learn the gradients of the tasks that took part in the last step; nothing here.

        Args:
            looks: One for each task whose gradient is finite.
            rows_per_step: Rows of an optimizer step, B.
        """

    @abstractmethod
    def begin_window(self, step: int) -> None:
        """Let what was observed before this step take effect."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run continues."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a checkpoint left off."""


LEARNERS: Kind[Learner] = Kind(
    "learner", "mixture.learn", "hf_mtl.data.learners", field="type", told=("sizes", "rows"), default="temperature"
)
register = LEARNERS.register
