"""Add up ordinary gradients over the processes, where DistributedDataParallel did not."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


def reduce_gradients(parameters: Sequence[nn.Parameter], reduce_sum: Callable[[Tensor], Tensor]) -> None:
    """Replace each parameter's ``grad`` by its sum over the processes; one that has none anywhere keeps none.

    Args:
        parameters: The same ones in every process.
        reduce_sum: Adds a tensor up over the processes.
    """
    if not parameters:
        return
    device = parameters[0].device
    flags = torch.tensor([float(parameter.grad is not None) for parameter in parameters], device=device)
    counts = reduce_sum(flags)
    if counts is flags:  # this process is the only one
        return
    used = [p for p, count in zip(parameters, counts.tolist(), strict=True) if count]
    if not used:
        return
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten().float() for p in used])
    for parameter, part in zip(used, reduce_sum(flat).split([p.numel() for p in used]), strict=True):
        parameter.grad = part.view_as(parameter).to(parameter.dtype)
