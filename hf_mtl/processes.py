"""The processes of a run, as far as anyone but the Trainer needs to know them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor


@dataclass(frozen=True)
class Processes:
    """This process among the others.

    Args:
        rank: This process, from 0.
        world: Number of processes.
        device: This process's device.
        reduce_sum: Adds a tensor up over the processes; every process gets the sum.
        gather: Stacks tensors of one shape, one of each process, on every process [world, ...].
    """

    rank: int
    world: int
    device: torch.device
    reduce_sum: Callable[[Tensor], Tensor]
    gather: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, accelerator: Accelerator) -> "Processes":
        """The processes of an accelerator."""

        def reduce_sum(tensor: Tensor) -> Tensor:
            return tensor if accelerator.num_processes == 1 else accelerator.reduce(tensor, reduction="sum")

        def gather(tensor: Tensor) -> Tensor:
            gathered: Tensor = accelerator.gather(tensor[None])
            return gathered

        return cls(accelerator.process_index, accelerator.num_processes, accelerator.device, reduce_sum, gather)
