"""Signals that stop a run: at the end of a step, which is the same one on all processes, or at once.

How the processes agree. A signal reaches each process at another moment, or only one of them, and a process that
stopped on its own would leave the others waiting for its gradients. So a handler only notes the signal. Every
optimizer step adds up the tasks' losses over all processes anyhow (`Objective.finish`), whatever the balancing; one
more number travels in that sum, 1 from each process that has noted a signal. All of them read the same sum in the
same step, and all stop at its end if it is not 0. This costs no message of its own, and no process can be a step
ahead: nobody ends a step before everybody's number is in its sum.
"""

import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from transformers import TrainingArguments

from hf_mtl.data.processes import is_main_process
from hf_mtl.errors import Interrupted, LostProcessError, Stopped, Terminated, one_line
from hf_mtl.launched import launched
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

AGAIN = 2.0
"""Seconds after which a second Ctrl-C is the user's: launchers pass the first one on, so that it comes twice."""


class Interruption:
    """The signal that has come, if any, and whether all processes know of it.

    Args:
        place: Where the run is while nothing is deferred, and what is left of it; follows "Stopped by SIGTERM".
        go_on: How to go on with it, a sentence.
    """

    def __init__(self, place: str = "", go_on: str = ""):
        self.place = place
        self.go_on = go_on
        self.received: signal.Signals | None = None
        self.agreed = False
        self.active = False
        self._since = 0.0
        self._deferred = False
        self._within = ""
        self._process = os.getpid()

    @contextmanager
    def taking(self, signals: Iterable[int]) -> Iterator["Interruption"]:
        """Answer these signals in the block, in the main thread; Python knows none in others.

        Raises:
            Stopped: When one has come; also in place of what follows from the others' end, as a lost connection.
        """
        before = {number: signal.signal(number, self._handle) for number in signals if _in_main_thread()}
        self.active = True
        try:
            yield self
        except Stopped as stopped:
            _say(stopped)
            raise
        except (RuntimeError, LostProcessError) as error:
            if self.received is None:
                raise
            followed = self.stopped(f"{self._within or self.place} ({type(error).__name__}: {one_line(error)})")
            _say(followed)
            raise followed from error
        finally:
            self.active = False
            for number, handler in before.items():
                if signal.getsignal(number) == self._handle:  # else somebody has put another in its place
                    signal.signal(number, handler)

    @contextmanager
    def deferring(self, within: str) -> Iterator[None]:
        """Only note signals in the block, which looks at them itself; one that it did not see stops the run after it.

        Args:
            within: Where the run is, should the block fail.
        """
        self._within, self._deferred = within, True
        try:
            yield
            self._within = ""
        finally:
            self._deferred = False
        if self.received is not None:
            raise self.stopped(self.place)

    def agree(self, votes: float) -> None:
        """Take the number of processes that have noted a signal, the same on all of them."""
        self.agreed = votes > 0

    def stopped(self, place: str) -> Stopped:
        """Return what ends the run: a process that was only told by the others ends as if it had been terminated."""
        received = self.received or signal.SIGTERM
        kind = Interrupted if received == signal.SIGINT else Terminated
        return kind(f"Stopped by {received.name} {place}. {self.go_on}".strip())

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return _as_by_default(number)
        if self.received is None:
            self.received, self._since = signal.Signals(number), time.monotonic()
            if not self._deferred:
                raise self.stopped(self.place)
            self._acknowledge()
        elif number == signal.SIGINT and time.monotonic() - self._since > AGAIN:
            # No exception, which might be caught or wait for other processes. What is half written was staged.
            os.write(2, b"Stopped at once.\n")
            os._exit(Interrupted.exit_code)
        return None

    def _acknowledge(self) -> None:
        me = launched()
        if (me is None or me.rank == 0) and self.received is not None:
            again = " Press Ctrl-C again to end at once." if self.received == signal.SIGINT else ""
            # Not print: the handler may have come into the middle of another one.
            os.write(2, f"\n{self.received.name}: stopping after this step.{again}\n".encode())


def unclaimed(*signals: int) -> list[int]:
    """Leave out the signals that the user's program has handlers for, or ignores, as `nohup` and `&` have it do."""
    return [number for number in signals if _is_unclaimed(signal.getsignal(number))]


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the process in the block without a word, unless the program has handlers for them.

    For code that waits for other processes outside of Python, perhaps for half an hour: no handler of Python's runs
    in it, so that the process could not be ended. Nothing is trained yet.
    """
    numbers = unclaimed(signal.SIGINT, signal.SIGTERM) if _in_main_thread() else []
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def can_take_signals() -> bool:
    """Tell whether this thread can; says that ``enable_jit_checkpoint`` does nothing if it cannot."""
    if not _in_main_thread():
        logger.warning_once(
            "enable_jit_checkpoint does nothing here: only the main thread of a program gets signals."
        )
    return _in_main_thread()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _is_unclaimed(handler: Any) -> bool:
    nested = isinstance(getattr(handler, "__self__", None), Interruption)  # a run that was started within a run
    return nested or handler in (signal.SIG_DFL, signal.default_int_handler)


@contextmanager
def without_jit_checkpoint(args: TrainingArguments) -> Iterator[None]:
    """Build a Trainer without transformers' own answer to SIGTERM, which saves inside a step, one process alone."""
    asked, args.enable_jit_checkpoint = args.enable_jit_checkpoint, False
    try:
        yield
    finally:
        args.enable_jit_checkpoint = asked


def _as_by_default(number: int) -> None:
    """End a process that was forked from ours at SIGTERM; at Ctrl-C it ends when ours tells it to."""
    if number != signal.SIGINT:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def _say(stopped: Stopped) -> None:
    if is_main_process() and not stopped.said:  # by a run within this one
        logger.warning(str(stopped))
    stopped.said = True
