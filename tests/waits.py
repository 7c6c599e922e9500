"""Finds where a program would wait for an accelerator, with tensors of torch's meta device in its place.

Nothing can be read from a meta tensor, so what asks a device for a number fails; tensors of the host do not mix with
it, so what was made on the wrong device fails too. Copies to the device that wait for it are noted.
"""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

META = torch.device("meta")


class _Copies(TorchDispatchMode):
    """Notes copies to the meta device that are to be complete when the call returns."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        to_meta = str(function).startswith("aten._to_copy") and str(options.get("device")) == "meta"
        if to_meta and args[0].device != META and not options.get("non_blocking"):
            self.places.append(place())
        return function(*args, **options)


def place() -> str:
    """Name the innermost line of hf_mtl that is running."""
    lines = [line for line in traceback.extract_stack() if "/hf_mtl/" in line.filename]
    return f"{lines[-1].filename.rpartition('/hf_mtl/')[2]}: {lines[-1].line}" if lines else "elsewhere"


@contextmanager
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note in the block where the host waits until something is copied to the device."""
    copies, make = _Copies(), torch.tensor

    def tensor(*args: Any, **kwargs: Any) -> Tensor:
        if torch.device(kwargs.get("device") or "cpu") == META:
            copies.places.append(place())  # made on the host, and copied
        return make(*args, **kwargs)

    with copies, monkeypatch.context() as patched:
        patched.setattr(torch, "tensor", tensor)
        yield copies.places


def raises_at_a_read(read: Callable[[Tensor], Any]) -> bool:
    """Tell whether reading a tensor of the device fails, as these tests rely on."""
    try:
        read(torch.zeros(2, device=META))
    except (RuntimeError, NotImplementedError):
        return True
    return False
