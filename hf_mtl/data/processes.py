"""Let one process of a machine do the work whose result the others read from the cache."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from accelerate import PartialState


@contextmanager
def main_process_first() -> Iterator[None]:
    """Run the block on the machine's main process, then on the others; do not nest.

    Unlike accelerate's, the main process also lets the others go on when the block raises: bad data is bad on
    every process, and each must end with the message instead of waiting for the others.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    state = PartialState()
    if not state.is_local_main_process:
        state.wait_for_everyone()
    try:
        yield
    finally:
        if state.is_local_main_process:
            state.wait_for_everyone()
