"""float32 products of linear layers on a CPU, by oneDNN where torch's own way has half its speed.

Torch gives such products to MKL, which leaves the 512-bit instructions of processors other than Intel's unused.
oneDNN, which torch has for convolutions and bfloat16, uses them: the same sums in float32, added in another order.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_LEAST_WORK = 1 << 22
"""Multiplications from which a layer gains more than the way to its products costs, some 90 microseconds for forward
and backward: 2 to the 21 were slower, 2 to the 22 faster, with layers of 64 and of 128."""

_KERNELS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "40", "LRU_CACHE_CAPACITY": "1"}
"""A step's products are of 12 shapes, or of 28 with task gradients of 5 tasks. torch's own cache has the same ones,
before that of oneDNN."""


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply a matrix [n, k] by the transpose of another [m, k], as `torch.nn.functional.linear` does.

    Args:
        left: A matrix.
        right: Another one.
        bias: What is added to each row [m]; None: nothing.
    """
    if _suits(left, right, bias):
        found: Tensor = _Product.apply(left, right, bias)
        return found
    return F.linear(left, right, bias)


def multiply_into(into: Tensor, left: Tensor, right: Tensor, fresh: bool) -> None:
    """Put a `product` into a place, or add it to what stands there.

    Args:
        into: The place [n, m].
        left: A matrix [n, k].
        right: Another one [m, k].
        fresh: Whether what stands there is thrown away.
    """
    if not _suits(left, right, None):
        torch.addmm(into, left, right.T, beta=0 if fresh else 1, out=into)
        return
    found = _Product.apply(left, right, None)
    into.copy_(found) if fresh else into.add_(found)


def bound_caches() -> None:
    """Have oneDNN keep the kernels of a few products, and not of the last 1,024.

    Each is of one number of tokens, which is another in every step: they would be gigabytes. What a user has set
    stays.
    """
    for name, capacity in _KERNELS.items():
        os.environ.setdefault(name, capacity)


@contextmanager
def fast_products(encoder: nn.Module) -> Iterator[None]:
    """Have an encoder's linear layers multiply by `product` for a while, where that is faster.

    Not where activation checkpointing runs layers again: a backward ends what is switched on here, so that these
    would multiply another way than they did, and keep other tensors.

    Args:
        encoder: The backbone.
    """
    if not has_faster() or _is_compiled(encoder) or (torch.is_grad_enabled() and _runs_again(encoder)):
        yield
        return
    with _LinearByProduct():
        yield


@cache
def has_faster() -> bool:
    """Tell whether this processor is one whose width MKL leaves unused."""
    cpus = Path("/proc/cpuinfo")
    return (
        torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and cpus.exists()
        and "GenuineIntel" not in cpus.read_text("utf-8")
    )


def trains_fast(encoder: nn.Module) -> bool:
    """Tell whether `fast_products` does something where gradients are wanted.

    Args:
        encoder: The backbone, as it is now.
    """
    return has_faster() and not _is_compiled(encoder) and not _runs_again(encoder)


def _is_compiled(encoder: nn.Module) -> bool:
    """Tell whether a compiler has its own way with products."""
    return encoder._compiled_call_impl is not None


def _runs_again(encoder: nn.Module) -> bool:
    """Tell whether activation checkpointing runs layers in the backward."""
    return any(getattr(module, "gradient_checkpointing", False) for module in encoder.modules())


class _Product(torch.autograd.Function):
    """A product whose gradients are such products too."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
        wants_left, wants_right, _ = ctx.needs_input_grad
        # No more than torch's own product keeps: with frozen weights nothing of the inputs.
        ctx.save_for_backward(left if wants_right else None, right.t() if wants_left else None)
        found: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        left, turned = ctx.saved_tensors
        return (
            None if turned is None else product(gradient, turned),
            None if left is None else product(gradient.t(), left.t()),
            gradient.sum(0) if ctx.needs_input_grad[2] else None,
        )


class _LinearByProduct(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.linear and not kwargs:
            return _linear(*args)
        return func(*args, **(kwargs or {}))


def _linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if not _suits(inputs, weight, bias):
        return F.linear(inputs, weight, bias)
    rows: Tensor = _Product.apply(inputs.reshape(-1, inputs.shape[-1]), weight, bias)
    return rows.view(*inputs.shape[:-1], rows.shape[-1])


def _suits(left: Tensor, right: Tensor, bias: Tensor | None) -> bool:
    """Tell whether oneDNN takes a product, and gains by it."""
    return (
        has_faster()
        and bool(torch.backends.mkldnn.enabled)
        and left.numel() * len(right) >= _LEAST_WORK
        and all(one is None or _is_plain(one) for one in (left, right, bias))
        and _fit(left, right, bias)
        and not torch.is_autocast_enabled("cpu")
    )


def _fit(left: Tensor, right: Tensor, bias: Tensor | None) -> bool:
    """Tell what oneDNN multiplies and adds from what torch alone may: of a bias it reads what lies in one piece."""
    whole = bias is None or (bias.shape == right.shape[:1] and bias.is_contiguous())
    return whole and left.shape[-1:] == right.shape[1:]


def _is_plain(value: Tensor) -> bool:
    """Tell a tensor that oneDNN takes from what only looks like one: a part of several processes', a traced one."""
    return type(value) in (Tensor, nn.Parameter) and value.dtype == torch.float32 and value.device.type == "cpu"


bound_caches()  # oneDNN reads them once, at the first activation even
