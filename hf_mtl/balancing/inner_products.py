"""Inner products of task gradients, and their combination, without a copy of the Jacobian."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

BLOCK = 1 << 16
"""Columns taken at a time on a CPU, where they stay in its cache; an accelerator takes 64 times as many."""


def result_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of results from rows of a dtype: float64 of float64, float32 of everything shorter."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def room(*shape: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Make a large tensor of zeros, on a CPU out of large pages where the system has them.

    A new tensor of 40 MB otherwise costs twice as much for its pages as for what is computed into it. Kept over steps
    it would cost as little, but who keeps a step's gradients would find the next step's in them.
    """
    if device.type != "cpu" or dtype not in _OF_NUMPY:
        return torch.zeros(shape, dtype=dtype, device=device)
    # NumPy asks the system for large pages, and torch does not. Filled here: what is only reserved is small pages.
    return torch.from_numpy(np.empty(shape, dtype=_OF_NUMPY[dtype])).zero_()


_OF_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}


def column_blocks(jacobian: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield blocks of columns of a Jacobian [T, P] with their place, in float32 at least."""
    dtype = result_dtype(jacobian.dtype)
    size = BLOCK if jacobian.device.type == "cpu" else 64 * BLOCK
    for start in range(0, jacobian.shape[1], size):
        place = slice(start, start + size)
        yield place, jacobian[:, place].to(dtype)


def gramian(jacobian: Tensor) -> Tensor:
    """Compute G = J Jᵀ block by block: products in float32 at least, their sum over blocks in float64.

    Where squares would leave float32's range (gradients above 1e15 or below 1e-12), rows are scaled first, so
    that the smallness or largeness of all gradients never decides what an aggregator does.

    Args:
        jacobian: Task gradients J [T, P], of any floating dtype and device.

    Returns:
        G [T, T] in float64, on the Jacobian's device. A row that is not finite makes its diagonal entry so.
    """
    return gramian_of(lambda: [jacobian], len(jacobian), jacobian.device)


def gramian_of(parts: Callable[[], Iterable[Tensor]], tasks: int, device: torch.device) -> Tensor:
    """Compute G = J Jᵀ as `gramian` does, of a Jacobian in parts, and wait for its device once.

    Args:
        parts: Gives some columns of J after others, [T, ...]; asked again where rows are scaled.
        tasks: Number of tasks T.
        device: Where J is.
    """

    def total(scale: float) -> Tensor:
        found = torch.zeros(tasks, tasks, dtype=torch.float64, device=device)
        for part in parts():
            # What is in float64 has the range.
            own = 1.0 if part.dtype == torch.float64 else scale
            found += _gramian(part, own) * (own / scale) ** 2
        return found

    result = total(1.0)
    largest = float(result.diagonal().max())
    if 1e-24 <= largest <= 1e30:
        return result
    sizes = [part.abs().max() for part in parts() if part.numel() and part.dtype != torch.float64]
    scale = float(torch.stack([size.float() for size in sizes]).max()) if sizes else 0.0
    return total(scale) * scale**2 if 0 < scale < float("inf") else result


def _gramian(jacobian: Tensor, scale: float) -> Tensor:
    tasks = len(jacobian)
    total = torch.zeros(tasks, tasks, dtype=torch.float64, device=jacobian.device)
    exact = _products_are_exact()
    for _, block in column_blocks(jacobian):
        rows = block if scale == 1.0 else block / scale
        rows = rows if exact else rows.double()
        total += (rows @ rows.T).double()
    return total


def _products_are_exact() -> bool:
    """Tell whether float32 products are not rounded to TF32 or bfloat16.

    There nearly parallel or opposite rows would lose what distinguishes them.
    """
    try:
        return torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # torch's newer switch was used, as by TrainingArguments(tf32=True), which this cannot read
        return False


def combine(weights: Tensor, jacobian: Tensor) -> Tensor:
    """Compute Jᵀ w.

    Args:
        weights: w [T].
        jacobian: J [T, P].

    Returns:
        [P], float64 where J is, else float32 (also for rows held in bfloat16, whose sum deserves more digits).
    """
    dtype = result_dtype(jacobian.dtype)
    weights = weights.to(jacobian.device, dtype, non_blocking=True)
    if jacobian.dtype == dtype:
        result = room(jacobian.shape[1], dtype=dtype, device=jacobian.device)
        return torch.mv(jacobian.T, weights, out=result)
    result = room(jacobian.shape[1], dtype=dtype, device=jacobian.device)
    for place, block in column_blocks(jacobian):
        result[place] = weights @ block
    return result


def row_norms(jacobian: Tensor) -> Tensor:
    """Compute the norm of each task gradient, [T], in float64."""
    dtype = result_dtype(jacobian.dtype)
    found: Tensor = torch.linalg.vector_norm(jacobian, dim=1, dtype=dtype).double()
    return found
