"""A lock on a file that the kernel keeps: it ends with the process that holds it, however that ends."""

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from hf_mtl.errors import Mistake, RunError
from hf_mtl.training.folder.lock_holders import Holder, in_use, read_holders

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_HELD = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)
_TO_LEAVE_S = 2.0  # for the other processes of a run that ends
_MOST_BYTES = 1_000_000

_open: set[int] = set()


def _leave_to_parent() -> None:
    """Close the locks that a fork inherits: a loader's worker that outlives its run would go on holding them.

    To close is not to unlock: the parent keeps its lock.
    """
    while _open:
        os.close(_open.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


class NoKernelLockError(Exception):
    """The file system, or the platform, has no locks."""


class KernelLock:
    """A held lock. filelock has none that the processes of a run could hold together.

    Args:
        path: The file.
        descriptor: Its open file, locked.
        ours: Whether the file holds nothing but the names of holders, and may be written and removed.
    """

    def __init__(self, path: Path, descriptor: int, ours: bool):
        self._path = path
        self._descriptor = descriptor
        self._ours = ours
        self._pid = os.getpid()

    @classmethod
    def take(cls, path: Path, alone: bool) -> "KernelLock":
        """Lock a file at once or not at all.

        Args:
            path: The file; made if it is missing, in a folder that exists.
            alone: Whether nobody else may hold it; otherwise it is held beside others.

        Raises:
            RunError: If another run holds it.
            NoKernelLockError: If nobody can hold it.
        """
        if fcntl is None:
            raise NoKernelLockError
        while True:
            descriptor, created = _open_or_create(path)
            _open.add(descriptor)
            lock = cls(path, descriptor, ours=created)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise RunError(Mistake("training.output_dir", f"{path} is no file", "Move it away"))
                text = os.pread(descriptor, _MOST_BYTES, 0)
                if not lock._lock(alone):
                    raise lock._in_use(text)
                if lock._is_there():
                    lock._write_holder(alone)
                    return lock
            except NoKernelLockError:
                if created:
                    path.unlink(missing_ok=True)
                lock._close()
                raise
            except BaseException:
                lock._close()
                raise
            lock._close()  # its last holder removed it after it was opened; the next try makes another

    def share(self) -> None:
        """Let other processes of this run hold the lock too.

        Raises:
            RunError: If another run took it meanwhile: a lock is given up before it is changed.
        """
        if not self._lock(alone=False):
            raise self._in_use(os.pread(self._descriptor, _MOST_BYTES, 0))

    def release(self, last: bool) -> None:
        """Give the lock up.

        Args:
            last: Whether to wait a moment for the other processes of the run, and to remove the file. One that is
                left because they still hold it is harmless.
        """
        if self._pid != os.getpid():  # a fork, which has nothing to give up
            return
        # Only who holds it alone may remove it: a lock that others take on a removed file would keep nobody out.
        if last and self._ours and self._alone_soon():
            with suppress(OSError):
                self._path.unlink()
        self._close()

    def _alone_soon(self) -> bool:
        end = time.monotonic() + _TO_LEAVE_S
        while not self._lock(alone=True):
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def _lock(self, alone: bool) -> bool:
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                return False
            raise NoKernelLockError from error  # each file system has its own word for it
        return True

    def _in_use(self, text: bytes) -> RunError:
        # Some servers keep the locks of a machine that went down until it is up again.
        return in_use(self._path, read_holders(text), f"If that machine is down, remove {self._path}.")

    def _is_there(self) -> bool:
        """Tell whether the locked file is still the one at its path."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _write_holder(self, alone: bool) -> None:
        """Write who holds the lock; a file that holds anything else is locked as it is, and stays."""
        holders = read_holders(os.pread(self._descriptor, _MOST_BYTES, 0))
        self._ours = self._ours or holders is not None
        if not self._ours:
            return
        with suppress(OSError):  # a full disk: the lock holds without a name
            if alone:
                os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_END)
            os.write(self._descriptor, Holder.here().line())

    def _close(self) -> None:
        _open.discard(self._descriptor)
        os.close(self._descriptor)


def _open_or_create(path: Path) -> tuple[int, bool]:
    """Open a file to lock it; say whether it was made. A link is not followed: its target is somebody else's."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with suppress(FileExistsError):
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
    return os.open(path, flags | os.O_CREAT, 0o666), False
