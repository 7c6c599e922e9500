"""Let one process of a machine do the work whose result the others read from the cache."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed


@contextmanager
def main_process_first() -> Iterator[None]:
    """Run the block on each machine's main process, then on the others; do not nest.

    Processes can only wait for each other once their group exists, which `TrainingArguments.device` sees to; until
    then all of them run the block at once. Unlike accelerate's, the main process also lets the others go on when
    the block raises: bad data is bad on every process, and each must end with the message instead of waiting.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        yield
        return
    main = int(os.environ.get("LOCAL_RANK", "0")) == 0
    if not main:
        torch.distributed.barrier()
    try:
        yield
    finally:
        if main:
            torch.distributed.barrier()
