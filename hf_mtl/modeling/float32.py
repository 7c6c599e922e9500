"""Numbers that keep their precision whatever the model is cast to, and a cast that is taken back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Self

import torch
from torch import Tensor, nn


class KeepsFloat32(nn.Module):
    """A module some of whose own parameters and buffers stay float32 in a model of any precision.

    Means of targets, class weights and logarithms of variances are few numbers with a large effect: a mean of 1995.3
    is 1992 in bfloat16, and one of 70,000 is infinite in float16. `to`, `half`, `bfloat16`, `double` and `type` all
    go through `_apply`, which moves such numbers to another device and leaves their bits alone.

    Attributes:
        in_float32: Names of the parameters and buffers that stay float32; one that is None is left out.
    """

    in_float32: ClassVar[tuple[str, ...]] = ()

    def tensors_in_float32(self) -> dict[str, Tensor]:
        """Return the parameters and buffers that stay float32, by name."""
        found = {name: getattr(self, name) for name in self.in_float32}
        return {name: tensor for name, tensor in found.items() if tensor is not None}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        kept = list(self.tensors_in_float32().values())
        gradients = [tensor.grad for tensor in kept if tensor.grad is not None]
        # By their ids, since `fn` is given tensors without names.
        exact = {id(tensor) for tensor in [*kept, *gradients]}

        def apply(tensor: Tensor) -> Tensor:
            result = fn(tensor)
            if id(tensor) not in exact or result.dtype == tensor.dtype:
                return result
            return tensor.to(result.device)  # the result is rounded already

        super()._apply(apply, recurse)
        return self


def names_in_float32(module: nn.Module) -> list[str]:
    """Return the names of everything in a module that stays float32, without the names of the modules around it."""
    parts = (part for part in module.modules() if isinstance(part, KeepsFloat32))
    return sorted({name for part in parts for name in part.tensors_in_float32()})


def bring_to_float32(module: nn.Module) -> None:
    """Make float32 what stays float32, in place: layers are built in the precision of the model around them."""
    for part in module.modules():
        if isinstance(part, KeepsFloat32):
            for tensor in part.tensors_in_float32().values():
                tensor.data = tensor.data.float()


@contextmanager
def cast_for_a_while(module: nn.Module, dtype: torch.dtype | None) -> Iterator[None]:
    """Cast a module, and give it back what it was, to the bit.

    Meanwhile the originals wait in the CPU's memory: a device holds the model once.

    Args:
        module: The module. Its parameters stay the objects that an optimizer knows.
        dtype: What to cast it to; None: nothing happens.
    """
    if dtype is None:
        yield
        return
    parameters = list(module.parameters())
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    before = [(tensor, tensor.data.cpu()) for tensor in [*parameters, *gradients]]
    # A cast puts other objects in the place of buffers.
    buffers = [
        (owner, name, value) for owner in module.modules() for name, value in owner.named_buffers(recurse=False)
    ]
    module.to(dtype)
    try:
        yield
    finally:
        for tensor, data in before:
            tensor.data = data.to(tensor.device)
        for owner, name, value in buffers:
            setattr(owner, name, value.to(getattr(owner, name).device))
