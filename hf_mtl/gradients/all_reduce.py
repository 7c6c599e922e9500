"""Add up ordinary gradients over the processes, where DistributedDataParallel did not."""

from collections.abc import Sequence

import torch
from torch import nn

from hf_mtl.processes import Processes


def all_reduce_gradients(parameters: Sequence[nn.Parameter], processes: Processes) -> None:
    """Replace each parameter's ``grad`` by its sum over the processes; one that has none anywhere keeps none.

    Args:
        parameters: The same ones in every process.
        processes: This process among the others.
    """
    if not parameters or processes.world == 1:
        return
    anywhere = processes.anywhere([parameter.grad is not None for parameter in parameters], parameters[0].device)
    used = [p for p, is_used in zip(parameters, anywhere, strict=True) if is_used]
    if not used:
        return
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten().float() for p in used])
    total = processes.reduce_sum(flat)
    for parameter, part in zip(used, total.split([p.numel() for p in used]), strict=True):
        parameter.grad = part.view_as(parameter).to(parameter.dtype)
