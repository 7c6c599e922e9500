"""Let one process do the work of all, while the others wait for as long as it takes."""

import pickle
from collections.abc import Callable
from typing import TypeVar

import torch.distributed as dist

from hf_mtl.data.meeting import Meeting
from hf_mtl.errors import HfMtlError, LostProcessError, one_line

T = TypeVar("T")


def is_grouped() -> bool:
    """Whether the processes of a run have met, so that they can wait for each other."""
    return dist.is_available() and dist.is_initialized()


def is_main_process() -> bool:
    """Whether this is the process that speaks for all of them."""
    return not is_grouped() or dist.get_rank() == 0


def from_first(work: Callable[[], T]) -> T:
    """Let the first process of the run work, and give its result to all of them; do not nest.

    The others wait without a time-out, call ``work`` never and hold nothing of what it needs. All processes call
    this together. Without others, it is ``work()``.

    Args:
        work: Makes the result, which can be pickled and is small: it travels as one message.

    Raises:
        HfMtlError: The one that ``work`` has raised, on every process.
        LostProcessError: On the others, if ``work`` raised anything else, or the first process has ended.
    """
    if not is_grouped() or dist.get_world_size() == 1:
        return work()
    meeting = Meeting.next()
    if dist.get_rank() == 0:
        return _work_for_others(work, meeting)
    meeting.wait()
    result, error = pickle.loads(meeting.message())
    dist.barrier()
    if error is not None:
        raise error
    found: T = result
    return found


def _work_for_others(work: Callable[[], T], meeting: Meeting) -> T:
    try:
        result = work()
    except Exception as error:
        if not isinstance(error, HfMtlError):
            said = f"the first process of the run has failed ({type(error).__name__}: {one_line(error)})."
            meeting.leave(pickle.dumps((None, LostProcessError(said))))
        else:
            meeting.leave(pickle.dumps((None, error)))
        _meet(meeting)
        raise
    meeting.leave(pickle.dumps((result, None)))
    _meet(meeting)
    return result


def _meet(meeting: Meeting) -> None:
    """Wait for all, and let none go on before all know of it: one of them may keep the store, and end with it."""
    meeting.wait()
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
