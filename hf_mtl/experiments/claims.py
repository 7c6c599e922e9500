"""Pieces of work that several processes share without talking to each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_mtl.errors import RunError
from hf_mtl.training.folder.kernel_lock import KernelLock


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Say whether this process may do a piece of work, which no other process then may while the block runs.

    A claim ends with its process, however that ends.

    Args:
        path: The file that stands for the work; its folder is made if it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = KernelLock.take(path, alone=True)
    except RunError:
        yield False
        return
    try:
        yield True
    finally:
        lock.release(last=True)
