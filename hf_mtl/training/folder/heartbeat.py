"""A lock where the file system has none: a file that its holder keeps writing, and that is stale after a minute."""

import os
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from hf_mtl.errors import RunError
from hf_mtl.shown import get_logger
from hf_mtl.training.folder.lock_holders import Holder, in_use, read_holders

logger = get_logger(__name__)

NAME = "run.beat-"
EVERY_S = 10.0
STALE_S = 60.0
SETTLE_S = 1.0  # longer than two processes that replace the same stale file at once are apart


class Heartbeat:
    """A held lock: the file of one process of a run, written every ten seconds in a thread.

    Args:
        folder: The run's folder.
        rank: This process of the run, from 0.
    """

    def __init__(self, folder: Path, rank: int):
        self._path = folder / f"{NAME}{rank}"
        self._line = Holder.here().line()
        self._pid = os.getpid()
        self._ended = threading.Event()

    @classmethod
    def take(cls, folder: Path, rank: int, alone: bool) -> "Heartbeat":
        """Begin to beat at once or not at all.

        Args:
            folder: The run's folder, which exists.
            rank: This process of the run.
            alone: Whether nobody else may beat there.

        Raises:
            RunError: If another run does.
        """
        beat = cls(folder, rank)
        if alone:
            beat._begin_alone()
        else:
            beat._replace()
        threading.Thread(target=beat._go_on, name="run-heartbeat", daemon=True).start()
        return beat

    def share(self) -> None:
        """Let other processes of this run beat too: each has a file of its own."""

    def release(self, last: bool) -> None:
        """Stop, and remove the file.

        Args:
            last: Says nothing here.
        """
        if self._pid != os.getpid():  # a fork, in which the thread does not run
            return
        self._ended.set()
        if _read(self._path) == self._line:
            self._path.unlink(missing_ok=True)

    def _begin_alone(self) -> None:
        """Make the file, or replace a stale one, where no process of another run beats."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            self._refuse_fresh(self._path)
            self._replace()
            # Two may have found it stale: the one that wrote last has it.
            time.sleep(SETTLE_S)
            if _read(self._path) != self._line:
                raise _in_use(self._path) from None
        else:
            with os.fdopen(descriptor, "wb") as file:
                file.write(self._line)
        try:
            for other in sorted(self._path.parent.glob(f"{NAME}*")):
                if other != self._path:
                    self._refuse_fresh(other)
                    other.unlink(missing_ok=True)
        except BaseException:
            self.release(last=True)
            raise

    def _refuse_fresh(self, path: Path) -> None:
        """Raise if somebody has written a file within the last minute, by the file system's own clock."""
        with suppress(FileNotFoundError):
            # Machines' clocks differ: a new file says what time it is for the one that keeps these.
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".run.clock-") as clock:
                now = os.fstat(clock.fileno()).st_mtime
            if now - path.stat().st_mtime < STALE_S:
                raise _in_use(path)

    def _replace(self) -> None:
        partial = self._path.with_name(f".{self._path.name}.{self._pid}.{threading.get_ident()}")
        partial.write_bytes(self._line)
        os.replace(partial, self._path)

    def _go_on(self) -> None:
        while not self._ended.wait(EVERY_S):
            with suppress(OSError):  # a file system that is away for a moment; the next beat may be heard
                if _read(self._path) != self._line:
                    logger.error(f"{self._path}: another run took this folder; this one was silent for too long.")
                    return
                # Written and not touched: a touch may take the time of this machine's clock.
                with open(self._path, "r+b") as file:
                    file.write(self._line)


def _in_use(path: Path) -> RunError:
    return in_use(path, read_holders(_read(path)), "One that is dead is forgotten after a minute.")


def _read(path: Path) -> bytes:
    """Read a file; one that is not there holds nothing."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
