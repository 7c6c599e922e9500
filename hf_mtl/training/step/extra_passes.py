"""Passes over a step's micro-batches beside the one that trains: what the losses are, before it or after it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from hf_mtl.inference.predict import to_device
from hf_mtl.training.step.task_batches import by_task


class RandomState:
    """The state of the generators that dropout draws from, here and on the device.

    Args:
        device: The device of the model.
    """

    def __init__(self, device: torch.device):
        self._cuda = device if device.type == "cuda" else None
        self._states = self._now()

    def _now(self) -> tuple[Tensor, Tensor | None]:
        return torch.get_rng_state(), None if self._cuda is None else torch.cuda.get_rng_state(self._cuda)

    def restore(self) -> None:
        """Draw again what was drawn since."""
        torch.set_rng_state(self._states[0])
        if self._states[1] is not None:
            assert self._cuda is not None
            torch.cuda.set_rng_state(self._states[1], self._cuda)

    @contextmanager
    def again(self) -> Iterator[None]:
        """Draw again what was drawn since, and then go on as if nothing had been drawn."""
        later = RandomState(self._cuda or torch.device("cpu"))
        self.restore()
        try:
            yield
        finally:
            later.restore()


class LossPass:
    """Task losses of a whole step, without a graph, with the dropout that its training pass has.

    Args:
        model: The model.
        names: The tasks, in order.
        device: Where batches go.
        reduce_sum: Adds a tensor up over the processes.
        add_flops: Told the floating point operations of every pass.
    """

    def __init__(
        self,
        model: Any,
        names: Sequence[str],
        device: torch.device,
        reduce_sum: Callable[[Tensor], Tensor],
        add_flops: Callable[[Mapping[str, Any]], None],
    ):
        self.model = model
        self.names = list(names)
        self.device = device
        self._reduce_sum = reduce_sum
        self._add_flops = add_flops

    @torch.no_grad()
    def __call__(self, batches: Sequence[Mapping[str, Any]], random: RandomState, one_by_one: bool) -> Tensor:
        """L_t of the step, float64 [T], over all processes.

        Args:
            batches: This process's micro-batches of the step.
            random: What the generators were before the step's first forward.
            one_by_one: Whether the training pass takes one task after the other, and dropout is drawn in that order.
        """
        losses = torch.zeros(len(self.names), dtype=torch.float64, device=self.device)
        training = self.model.training
        self.model.train()
        with random.again():
            for batch in batches:
                inputs = to_device({key: value for key, value in batch.items() if key != "plan"}, self.device)
                for part in (mine for _, mine in by_task(inputs)) if one_by_one else [inputs]:
                    for name, rows in self.model(**part).row_losses.items():
                        index = self.names.index(name)
                        losses[index] += rows.sum().double() / max(batch["plan"]["counts"][index], 1)
                self._add_flops(batch)
        self.model.train(training)
        return self._reduce_sum(losses)
