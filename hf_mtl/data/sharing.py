"""Sharing of memory: one process of a machine works, and all of the machine use what it has made."""

import os
import pickle
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch.distributed as dist

from hf_mtl.data.meeting import Meeting
from hf_mtl.data.processes import is_grouped
from hf_mtl.errors import HfMtlError, LostProcessError, one_line
from hf_mtl.shown import get_logger

logger = get_logger(__name__)
T = TypeVar("T")

_LARGE = 1 << 20
"""Bytes from which on an array is mapped; a smaller one travels in the message."""

# What cannot travel between processes, or not be seen by the other.
_UNSHARED = (OSError, pickle.PickleError, TypeError, AttributeError, ImportError, ValueError)


@dataclass(frozen=True)
class _Parcel:
    """Message that the first process of a machine leaves for the others.

    Args:
        content: The pickled result without its large arrays.
        file: Where these are, end to end; None: there are none.
        sizes: The bytes of each.
    """

    content: bytes
    file: Path | None
    sizes: tuple[int, ...]

    def open(self) -> Any:
        """Make the result of what is mapped.

        Raises:
            OSError: If the file cannot be seen from here.
        """
        if self.file is None:
            return pickle.loads(self.content)
        mapped = np.memmap(self.file, np.uint8, mode="r")
        ends = np.cumsum([0, *map(_padded, self.sizes)]).tolist()
        parts = zip(ends, self.sizes, strict=False)
        return pickle.loads(self.content, buffers=[mapped[start : start + size].data for start, size in parts])


def of_one_process(work: Callable[[], T]) -> T:
    """Let the first process of each machine work, and give its result to all of the machine; do not nest.

    The others wait without a time-out. Their large arrays are those of the first, and may only be read. They lie in
    a file in the folder for temporary ones, which has lost its name by the time that this returns: nothing is left
    of it when the processes end, however they do. Rows that are in files already are mapped from these.

    Where the result cannot be shared, as on a full disk, every process works for itself.

    Args:
        work: Makes the result. All processes call this together, with work that gives the same.

    Raises:
        HfMtlError: The one that ``work`` has raised, on every process of the machine.
        LostProcessError: On the others, if ``work`` raised anything else, or the first process has ended.
    """
    if not is_grouped() or dist.get_world_size() == 1:
        return work()
    meeting = Meeting.next()
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        return _work_for_others(work, meeting)
    meeting.wait()
    message = meeting.message_here()
    parcel, error = (None, None) if message is None else pickle.loads(message)
    found: list[T] = []
    if parcel is not None:
        with suppress(*_UNSHARED):
            found.append(parcel.open())
    dist.barrier()
    if error is not None:
        raise error
    return found[0] if found else work()


def _work_for_others(work: Callable[[], T], meeting: Meeting) -> T:
    try:
        result = work()
    except Exception as error:
        said = f"the first process of the machine has failed ({type(error).__name__}: {one_line(error)})."
        heard = error if isinstance(error, HfMtlError) else LostProcessError(said)
        meeting.leave_here(pickle.dumps((None, heard)))
        meeting.wait()
        dist.barrier()
        raise
    parcel = _pack(result)
    meeting.leave_here(pickle.dumps((parcel, None)))
    meeting.wait()
    try:
        # Its own arrays would be a second copy.
        return result if parcel is None or parcel.file is None else parcel.open()
    finally:
        dist.barrier()  # from here on all have mapped it
        if parcel is not None and parcel.file is not None:
            parcel.file.unlink(missing_ok=True)


def _pack(result: Any) -> _Parcel | None:
    """Write down the large arrays of a result; None: it cannot be shared, which is said if the disk is the reason."""
    buffers: list[pickle.PickleBuffer] = []

    def is_small(buffer: pickle.PickleBuffer) -> bool:
        small = buffer.raw().nbytes < _LARGE
        if not small:
            buffers.append(buffer)
        return small

    try:
        content = pickle.dumps(result, protocol=5, buffer_callback=is_small)
    except _UNSHARED:  # what a task type of the user's may have in it
        return None
    raw = [buffer.raw() for buffer in buffers]
    if not raw:
        return _Parcel(content, None, ())
    try:
        return _Parcel(content, _write(raw), tuple(part.nbytes for part in raw))
    except OSError as error:
        logger.warning_once(
            f"the processes of this machine cannot share their rows in {tempfile.gettempdir()} "
            f"({error.strerror or error}): each makes its own. Set TMPDIR to a folder that has room."
        )
        return None


def _write(parts: Sequence[memoryview]) -> Path:
    """Return a file with the parts, each at a place where arrays of any type may begin."""
    number, name = tempfile.mkstemp(prefix="hf_mtl-rows-")
    file = Path(name)
    try:
        with os.fdopen(number, "wb") as opened:
            for part in parts:
                opened.write(part)
                opened.write(bytes(_padded(part.nbytes) - part.nbytes))
    except OSError:
        file.unlink(missing_ok=True)
        raise
    return file


def _padded(size: int) -> int:
    return -(-size // 64) * 64
