"""Let one process of a machine do the work whose result the others read from the cache."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

from hf_mtl.errors import HfMtlError


def is_grouped() -> bool:
    """Whether the processes of a run have met, so that they can wait for each other."""
    return dist.is_available() and dist.is_initialized()


def is_main_process() -> bool:
    """Whether this is the process that speaks for all of them."""
    return not is_grouped() or dist.get_rank() == 0


@contextmanager
def main_process_first() -> Iterator[None]:
    """Run the block on each machine's main process, then on the others; do not nest.

    Processes can only wait for each other once their group exists, which `TrainingArguments.device` sees to; until
    then all of them run the block at once. Unlike accelerate's, the main process also lets the others go on when
    the block raises: bad data is bad on every process, and each must end with the message instead of waiting.
    """
    if not is_grouped():
        yield
        return
    main = int(os.environ.get("LOCAL_RANK", "0")) == 0
    if not main:
        dist.barrier()
    try:
        yield
    finally:
        if main:
            dist.barrier()


def agree(error: HfMtlError | None) -> None:
    """Raise on every process what one of them has found; all call it, and so wait for each other.

    Args:
        error: What this process has found.

    Raises:
        HfMtlError: The first process's that has found something.
    """
    found = [error]
    if is_grouped():
        found = [None] * dist.get_world_size()
        dist.all_gather_object(found, error)
    for each in found:
        if each is not None:
            raise each
