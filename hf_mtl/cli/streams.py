"""Standard output and standard error that outlive whoever reads them: a lost line must not end a training."""

import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from hf_mtl.errors import OutputError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_NOBODY_READS = (errno.EPIPE, errno.EBADF)
"""The reader has gone, as `head` does, or there never was one: what is lost was wanted by nobody."""


class LossyFile(io.FileIO):
    """An open file whose writes never fail: what cannot be written is dropped.

    Attributes:
        error: Why the first write was dropped; None while all have arrived.
    """

    error: OSError | None = None

    def write(self, data: "ReadableBuffer") -> int:
        """Write as much as the file takes, waiting where it is full for the moment."""
        try:
            while (written := self._try(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            self.error = self.error or error
            return memoryview(data).nbytes
        return written

    def _try(self, data: "ReadableBuffer") -> int | None:
        return super().write(data)  # None: a pipe that somebody has set not to block has no room


def protect() -> None:
    """Let nothing that is printed from here on raise: no closed or broken pipe, no full disk, no missing letter.

    Call it before anything keeps `sys.stderr`, as handlers of logging do. Streams that somebody has put in the place
    of Python's own (a test, a notebook) stay.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        _open_if_closed(number)
        stream = getattr(sys, name)
        if name != "stdin" and stream is getattr(sys, f"__{name}__"):
            lasting = _lasting(stream, number)
            setattr(sys, name, lasting)
            setattr(sys, f"__{name}__", lasting)


def check_output() -> None:
    """Refuse to call a command done whose output is lost.

    Raises:
        OutputError: If standard output is not complete, although somebody waits for it.
    """
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    error = getattr(getattr(buffer, "raw", buffer), "error", None)
    if isinstance(error, OSError) and error.errno not in _NOBODY_READS:
        raise OutputError(f"standard output cannot be written ({error.strerror}); what was printed is not complete")


def send(data: bytes) -> bool:
    """Write bytes to standard output, and tell whether anybody still reads them.

    Args:
        data: The bytes.
    """
    buffer = sys.stdout.buffer
    buffer.write(data)
    buffer.flush()
    return not isinstance(getattr(getattr(buffer, "raw", buffer), "error", None), OSError)


def _open_if_closed(number: int) -> None:
    """Open a standard descriptor that is closed on the null device.

    The next file to be opened would get its number otherwise, and libraries and child processes would print into it.
    """
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        os.set_inheritable(number, True)


def _lasting(stream: TextIO | None, number: int) -> TextIO:
    """Return the same stream over a file that loses what cannot be written."""
    if stream is None:  # it was closed when Python started
        return open(os.devnull, "w", encoding="utf-8", errors="backslashreplace")
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # `python -u` has no buffer in between
    if not isinstance(stream, io.TextIOWrapper) or type(raw) is not io.FileIO:  # the console of Windows; ours already
        return stream
    with suppress(OSError):
        stream.flush()
    file = LossyFile(number, "w", closefd=False)
    return io.TextIOWrapper(
        file if raw is buffer else io.BufferedWriter(file),
        encoding=stream.encoding,
        # Strict ones raise where a task's name has a letter that the terminal's encoding lacks.
        errors="backslashreplace" if stream.errors in ("strict", "surrogateescape") else stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
