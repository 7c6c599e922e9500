"""The interface of a learner of task probabilities."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hf_mtl.components import Kind


class Learner(ABC):
    """Learns how often each task is drawn; what it has seen takes effect at the next boundary of a window.

    Register with ``@register("my_learner")`` in a module of this package; keyword arguments are recipe options.

    Attributes:
        name: Its recipe name.
        tasks: The tasks, in task order.
        from_validation: Whether losses are those of evaluations, not of training; said when training begins.
    """

    name: ClassVar[str]
    tasks: list[str]
    from_validation: bool = False

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

    @abstractmethod
    def observe_losses(self, losses: Mapping[str, float]) -> None:
        """Learn the training losses of the tasks that a step had."""

    @abstractmethod
    def observe_evaluation(self, losses: Mapping[str, float], metrics: Mapping[str, float]) -> None:
        """Learn the validation losses and the primary metrics of the tasks."""

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
    "learner", "mixture.learn", "hf_mtl.data.learners", field="type", told=("sizes",), default="temperature"
)
register = LEARNERS.register
