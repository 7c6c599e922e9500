"""The processes of a run, as far as anyone but the Trainer needs to know them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from torch import Tensor


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _stacked(tensor: Tensor) -> Tensor:
    return tensor[None]


@dataclass(frozen=True)
class Processes:
    """This process among the others; without arguments, a process that is alone on a CPU.

    Args:
        rank: This process, from 0.
        world: Number of processes.
        device: This process's device.
        reduce_sum: Adds a tensor up over the processes; every process gets the sum.
        gather: Stacks tensors of one shape, one of each process, on every process [world, ...].
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    reduce_sum: Callable[[Tensor], Tensor] = _same
    gather: Callable[[Tensor], Tensor] = _stacked

    def anywhere(self, here: Sequence[bool], device: torch.device) -> list[bool]:
        """Tell of each of some facts whether it holds on any process; a process that is alone waits for no device.

        Args:
            here: The facts on this process; all processes ask about the same ones.
            device: Where the answers of all are put together.
        """
        if self.world == 1:
            return list(here)
        counts = self.reduce_sum(torch.tensor(here, dtype=torch.float32, device=device))
        return [count > 0 for count in counts.tolist()]

    @classmethod
    def of(cls, accelerator: Accelerator) -> "Processes":
        """Make the processes of an accelerator."""

        def reduce_sum(tensor: Tensor) -> Tensor:
            return tensor if accelerator.num_processes == 1 else accelerator.reduce(tensor, reduction="sum")

        def gather(tensor: Tensor) -> Tensor:
            gathered: Tensor = accelerator.gather(tensor[None])
            return gathered

        return cls(accelerator.process_index, accelerator.num_processes, accelerator.device, reduce_sum, gather)
