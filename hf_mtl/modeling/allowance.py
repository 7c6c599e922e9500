"""A limit to the size of a model, watched while it is built.

A config of a few lines can ask for a billion layers. Which of its numbers does so differs from one architecture to
the next, so that the parameters and buffers themselves are counted, as modules register them, and building ends at
the first that is too many: on the meta device before any memory is taken, else before more of it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import psutil
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from hf_mtl.errors import Mistake, ModelError, one_line

_MOST_TENSORS = 20_000  # encoders of a thousand layers have fewer
_FOLD = 8  # a tensor is registered when it is built, when it is loaded, and once more where it is tied
_SLACK = 2**24  # numbers; tables that are not saved, such as those of positions
_NO_MEMORY = ("alloc_cpu", "not enough memory", "out of memory", "Storage size calculation overflowed")

_innermost: ContextVar[object] = ContextVar("innermost", default=None)


@dataclass(frozen=True)
class Allowance:
    """Upper limits of a model.

    Args:
        tensors: Parameters and buffers.
        numbers: Their elements.
        reason: Why there cannot be more, for the message.
    """

    tensors: int
    numbers: int
    reason: str

    @classmethod
    def of_machine(cls) -> "Allowance":
        """Allow as many float32 numbers as there is free memory for: beyond it the system ends the process."""
        memory = psutil.virtual_memory().available
        return cls(_MOST_TENSORS, memory * 9 // 40, f"this machine has {memory / 2**30:,.0f} GiB of memory free")

    @classmethod
    def of_weights(cls, tensors: int, numbers: int) -> "Allowance":
        """Allow a few times the numbers in files of weights, and tables that are not saved."""
        reason = f"the weights beside it are {numbers:,} numbers in {tensors:,} tensors"
        return cls(_FOLD * tensors + 1000, _FOLD * numbers + _SLACK, reason)


@contextmanager
def building(allowance: Callable[[], Allowance], key: str, apart: bool = False) -> Iterator[None]:
    """Build a model that has no more than is allowed.

    Args:
        allowance: Finds the limit. It is called when the first tensor is registered. The limit of a model around this
            one goes before it.
        key: Dotted key of the config, for the message.
        apart: Whether it is no part of the model around it, and does not count for that.

    Raises:
        ModelError: As soon as there is more, or memory for it cannot be had.
    """
    if _innermost.get() is not None and not apart:
        yield
        return
    tensors = numbers = 0
    allowed: Allowance | None = None
    me = object()

    def count(module: nn.Module, name: str, value: Tensor | None) -> None:
        nonlocal tensors, numbers, allowed
        if value is None or _innermost.get() is not me:  # another thread's, or of a model within
            return
        # Work that cannot be done sooner: the files whose headers it reads are fetched by the loader, after
        # `building` was entered and before the first module is made.
        allowed = allowed or allowance()
        tensors += 1
        numbers += value.numel()
        if tensors > allowed.tensors or numbers > allowed.numbers:
            found = f"asks for a model of more than {numbers:,} numbers in {tensors:,} tensors, and {allowed.reason}"
            raise ModelError(Mistake(key, found, "Correct its sizes"))

    watches = [
        hooks.register_module_parameter_registration_hook(count),
        hooks.register_module_buffer_registration_hook(count),
    ]
    before = _innermost.set(me)
    try:
        yield
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _NO_MEMORY):
            raise
        found = f"asks for a tensor that no memory can be had for ({one_line(error)})"
        raise ModelError(Mistake(key, found)) from error
    finally:
        _innermost.reset(before)
        for watch in watches:
            watch.remove()
