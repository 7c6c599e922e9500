"""Callbacks: what happens at an event of the Trainer's loop."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import (
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from hf_mtl.arguments import LEAST_OFTEN
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.shown import get_logger
from hf_mtl.training.step.objective import Objective
from hf_mtl.training.watch.signals import TaskSignals

logger = get_logger(__name__)


class BalancingCallback(TrainerCallback):
    """Returns learned balancing parameters to their range after each optimizer step, and holds those of absent tasks.

    An absent task's parameter has gradient zero, but an optimizer with momentum would move it all the same, and let
    the momentum fade.

    Args:
        objective: The objective, whose last step says who was absent.
        after_update: What is done after the update of the model.
    """

    def __init__(self, objective: Objective, after_update: Callable[[], None] = lambda: None):
        self.objective = objective
        self._after_update = after_update
        self._before: list[tuple[Tensor, Tensor]] = []

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Remember the parameters, and what the optimizer knows of them."""
        held = [value for parameter in self._parameters() for value in _with_moments(parameter, optimizer)]
        self._before = [(value, value.detach().clone()) for value in held]

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Put absent tasks back where they were, then project."""
        with torch.no_grad():
            for value, before in self._before:
                value[self.objective.absent] = before[self.objective.absent]
        self._after_update()
        self.objective.weighting.after_step()

    def _parameters(self) -> list[nn.Parameter]:
        """The parameters that hold one value, or one row, per task."""
        tasks = len(self.objective.names)
        return [item for item in self.objective.weighting.parameters() if item.ndim and len(item) == tasks]


def _with_moments(parameter: nn.Parameter, optimizer: Optimizer | None) -> list[Tensor]:
    """A parameter, and what an optimizer keeps for each of its entries."""
    state = {} if optimizer is None else optimizer.state.get(parameter, {})
    return [parameter, *(item for item in state.values() if torch.is_tensor(item) and item.shape == parameter.shape)]


class HeadsCallback(TrainerCallback):
    """Lets the heads close every optimizer step, and logs their gauges.

    Args:
        model: The model.
        signals: Takes the gauges.
        reduce_sum: Adds a tensor up over the processes.
    """

    def __init__(self, model: MultiTaskModel, signals: TaskSignals, reduce_sum: Callable[[Tensor], Tensor]):
        self.model = model
        self.signals = signals
        self.reduce_sum = reduce_sum

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Forget what heads have seen of a step that was broken off."""
        self.model.heads.abandon_step()

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Clip what has a range, update what is running, read the gauges."""
        self.model.heads.end_step(self.reduce_sum)
        self.signals.observe_gauges(self.model.heads.gauges())


class LogStepsCallback(TrainerCallback):
    """Has the run log, evaluate and save as often as its arguments say, also where it is resumed.

    Where they do not say how often to log, records are spread over the run: short runs have a log too.
    """

    RECORDS = 20

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Set the steps between two records, evaluations and checkpoints."""
        state.compute_steps(args, state.max_steps)  # the Trainer leaves a resumed run those of its checkpoint
        if args.logging_steps is None:
            state.logging_steps = min(LEAST_OFTEN, max(1, state.max_steps // self.RECORDS))
