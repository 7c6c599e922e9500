"""Counts where the host waits for a GPU, by torch's own warnings."""

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

WORDS = "called a synchronizing CUDA operation"
_PACKAGES = ("hf_mtl", "transformers", "accelerate")


def place_of(stack: list[traceback.FrameSummary]) -> str:
    """Name the innermost line of hf_mtl that is running, or else of those that call torch."""
    for package in _PACKAGES:
        lines = [frame for frame in stack if f"/{package}/" in frame.filename]
        if lines:
            inner = lines[-1]
            return f"{package}/{inner.filename.rpartition(f'/{package}/')[2]}:{inner.lineno}"
    return "elsewhere"


@contextmanager
def counting_waits(places: dict[str, int], on_gpu: bool) -> Iterator[None]:
    """Add to ``places`` each time that torch warns of a wait in the block.

    Args:
        places: Counts by place.
        on_gpu: Whether there is a GPU, which has to be told to warn.
    """

    def show(message: Warning | str, *args: Any, **kwargs: Any) -> None:
        if WORDS in str(message):
            found = place_of(traceback.extract_stack(sys._getframe(1)))
            places[found] = places.get(found, 0) + 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        if on_gpu:
            torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            if on_gpu:
                torch.cuda.set_sync_debug_mode("default")
