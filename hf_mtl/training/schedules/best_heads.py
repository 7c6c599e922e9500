"""Heads of tasks as they were at their best evaluation."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from hf_mtl.modeling.private_adapters import PrivateAdapters
from hf_mtl.modeling.sharded import part_of, whole
from hf_mtl.modeling.task_heads import TaskHeads


class BestHeads:
    """Keeps a copy of each task's head, and puts it back.

    What other tasks go on to train is not a task's own: neither a head that it shares with them, nor what heads of
    one kind have in common.

    Args:
        heads: The heads of the model.
        tasks: The tasks that may be kept.
        private: The adapters that tasks have for themselves, which stay with their heads; None: they have none.
    """

    def __init__(self, heads: TaskHeads, tasks: Collection[str], private: PrivateAdapters | None = None):
        self._heads = heads
        self._private = private
        self._tasks = list(tasks)
        self._kept: dict[str, dict[str, Tensor]] = {}

    def keep(self, task: str) -> None:
        """Keep a task's head as it is now; all processes call this."""
        if not self._heads.is_shared(task):
            self._kept[task] = {name: whole(value.detach()).cpu().clone() for name, value in self._values(task)}

    @torch.no_grad()
    def restore(self, task: str, optimizer: Optimizer | None) -> None:
        """Put a task's head back, and have the optimizer forget what it knew of its parameters.

        A schedule-free optimizer would bring back, from what it remembers, the head of before.

        Args:
            task: The task, which is not trained any more; one of which no head was kept stays as it is.
            optimizer: The optimizer; None: there is none.
        """
        if task not in self:
            return
        for name, value in self._values(task):
            value.copy_(part_of(self._kept[task][name], value).to(value.device))
            if optimizer is not None:
                optimizer.state.pop(value, None)

    def _values(self, task: str) -> Iterator[tuple[str, Tensor]]:
        """Yield what a task trains for itself, by name."""
        yield from self._heads.of(task).head.state_dict(keep_vars=True).items()
        if self._private is not None:
            yield from ((f"private.{name}", value) for name, value in self._private.named_of(task))

    def __contains__(self, task: object) -> bool:
        """Tell whether there is a head to put back."""
        return task in self._kept

    def state_dict(self) -> dict[str, Tensor]:
        """Return the copies, by the number of the task and the name of the parameter."""
        return {
            f"{self._tasks.index(task)}.{name}": value
            for task, values in self._kept.items()
            for name, value in values.items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take copies back, in place of those that there are."""
        self._kept = {}
        for key, value in state.items():
            number, _, name = key.partition(".")
            self._kept.setdefault(self._tasks[int(number)], {})[name] = value
