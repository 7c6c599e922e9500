"""Work that one process does for all, while the others wait for as long as it takes."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch.distributed as dist

from hf_mtl.data.meeting import Meeting
from hf_mtl.errors import HfMtlError, LostProcessError, one_line

T = TypeVar("T")


def is_grouped() -> bool:
    """Tell whether the processes of a run have met, so that they can wait for each other."""
    return dist.is_available() and dist.is_initialized()


def is_main_process() -> bool:
    """Tell whether this is the process that speaks for all of them."""
    return not is_grouped() or dist.get_rank() == 0


def from_first(work: Callable[[], T]) -> T:
    """Let the first process of the run work, and give its result to all of them; do not nest.

    The others wait without a time-out, call ``work`` never and hold nothing of what it needs. All processes call
    this together. Without others, it is ``work()``.

    Args:
        work: Makes the result, which can be pickled and is small.

    Raises:
        HfMtlError: The one that ``work`` has raised, on every process.
        LostProcessError: On the others, if ``work`` raised anything else, or the first process has ended.
    """
    if not is_grouped() or dist.get_world_size() == 1:
        return work()
    meeting = Meeting.next()
    outcome: list[Any] = [None, None]
    failure: Exception | None = None
    if dist.get_rank() == 0:
        try:
            outcome[0] = work()
        except Exception as error:
            said = f"the first process of the run has failed ({type(error).__name__}: {one_line(error)})."
            outcome[1] = error if isinstance(error, HfMtlError) else LostProcessError(said)
            failure = error
    # The wait is here, where there is no time-out; then all are there, and a collective is short.
    meeting.wait()
    dist.broadcast_object_list(outcome, src=0)
    result, heard = outcome
    if heard is not None:
        raise failure or heard
    found: T = result
    return found


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
