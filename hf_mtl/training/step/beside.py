"""Passes beside the step, and DDP.

Some passes go around DDP, on the bare model: those of methods that decide on single tasks' gradients, a second
backward at moved parameters, the samples of conflicts, whatever a user's callback measures. DDP's reducer has hooks
on every parameter and cannot tell such a backward from its own: it notes the parameters as used. In its next step it
would wait for gradients of them, and abort where this process has no row of a task, as the task's head has none.
"""

from torch import nn
from torch.nn.parallel import DistributedDataParallel


def without_compilation(model: nn.Module) -> nn.Module:
    """Look through `torch.compile`, which accelerate does last."""
    inside: nn.Module = getattr(model, "_orig_mod", model)
    return inside


def forget_passes_beside(wrapped: nn.Module) -> None:
    """Begin an optimizer step: let DDP forget the passes that went around it since the last one.

    The one door for all of them, because it stands where every step begins, and not where a pass ends: no pass has
    to know of DDP, and none can be forgotten. `torch.autograd.grad`, which leaves the hooks alone, would not do for
    all: a tape needs the whole backward, and reentrant checkpointing refuses it.

    Args:
        wrapped: The model as the Trainer calls it; nothing happens where it is not DDP's.
    """
    wrapped = without_compilation(wrapped)
    # Only where DDP looks for unused parameters: otherwise it notes nothing, and would form its buckets anew. Not in
    # the middle of a step, whose earlier micro-batches DDP has to remember.
    if isinstance(wrapped, DistributedDataParallel) and wrapped.find_unused_parameters:
        wrapped.reducer._reset_state()
