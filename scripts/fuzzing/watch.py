"""One attempt under watch: what it raises, how long it takes, how much memory it takes."""

import faulthandler
import resource
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import psutil

from hf_mtl.errors import UserError

SECONDS = 5.0  # of computing, which other programs on the machine do not change
MEGABYTES = 500
_MOST_MEGABYTES = 4000  # where an attempt is ended
_WAITING = 60.0  # seconds in all, for what waits and computes nothing
_HUNG = 90.0  # where not even Python is reached: the process ends


class TooSlow(BaseException):
    """Raised in the middle of an attempt; not an Exception, which the attempt could take for one of its own."""


@dataclass(frozen=True)
class Failure:
    """Failure of an input.

    Args:
        place: Says whether two failures are the same one.
        text: The traceback, or the measurement.
        is_slow: Whether it was the time.
    """

    place: str
    text: str
    is_slow: bool = False


def bound_memory() -> None:
    """Let an attempt that takes far too much end in a MemoryError with its place, and not with the process."""
    most = psutil.Process().memory_info().vms + (_MOST_MEGABYTES << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def watched(attempt: Callable[[bytes], None], data: bytes) -> Failure | None:
    """Attempt something; None if it succeeds or ends in a message, in time and without much memory."""
    before, start = psutil.Process().memory_info().rss, time.process_time()
    faulthandler.dump_traceback_later(_HUNG, exit=True)
    previous = {number: signal.signal(number, _too_slow) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, _WAITING)
    try:
        attempt(data)
    except UserError:
        pass
    except TooSlow as error:
        return Failure(f"slow: {_place(error)}", traceback.format_exc(limit=-12), is_slow=True)
    except (Exception, SystemExit) as error:
        return Failure(f"{type(error).__name__}: {_place(error)}", traceback.format_exc(limit=-12))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in previous.items():
            signal.signal(number, handler)
        faulthandler.cancel_dump_traceback_later()
    return _spent(time.process_time() - start, before)


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlow


def _place(error: BaseException) -> str:
    """Return the last place of ours that an error came through, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/hf_mtl/" in frame.filename][-1:]
    return " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in [*frames[-1:], *ours])


def _spent(seconds: float, before: int) -> Failure | None:
    # The peak is that of the whole process: an attempt after a large one is measured by what was there before it.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    grown = (peak - max(before, _spent_before.peak)) >> 20
    _spent_before.peak = peak
    if seconds > SECONDS:
        return Failure("slow", f"{seconds:.1f} s", is_slow=True)
    return Failure("memory", f"{grown:,} MB") if grown > MEGABYTES else None


@dataclass
class _Peak:
    peak: int = 0


_spent_before = _Peak()
