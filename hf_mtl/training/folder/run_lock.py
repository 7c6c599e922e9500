"""One run at a time in a folder: every process of a run holds its lock, and a new run must have it alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accelerate import PartialState

from hf_mtl.data.processes import agree
from hf_mtl.disk import FULL
from hf_mtl.errors import Mistake, RunError
from hf_mtl.training.folder.fresh_folder import missing, remove_empty
from hf_mtl.training.folder.heartbeat import Heartbeat
from hf_mtl.training.folder.kernel_lock import KernelLock, NoKernelLockError
from hf_mtl.training.together import all_or_none

LOCK = "run.lock"
"""The locked file; it lies in the folder while a run is at work there, and one that is left there is harmless."""


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder while the block runs, on all processes of this run together.

    The folder is made if it is missing. What was made for the lock is removed at the end, unless something else lies
    in it by then: a run that is refused leaves nothing.

    Args:
        folder: The run's folder.

    Raises:
        RunError: On every process, if another run is at work in the folder, or if nothing can be written there.
        DiskError: On every process, if the disk is full.
    """
    made = missing(folder)
    processes = PartialState()
    held: list[KernelLock | Heartbeat] = []
    try:
        _hold_together(folder, processes, held)
        yield
    finally:
        for lock in held:
            lock.release(last=processes.is_main_process)
        remove_empty(made)


def _hold_together(folder: Path, processes: PartialState, held: list[KernelLock | Heartbeat]) -> None:
    """Take the lock on the main process, which must have it alone, and then on the others beside it."""
    for alone in (True, False):
        error = None
        with all_or_none(folder, folder / LOCK):
            if processes.is_main_process == alone:
                try:
                    held.append(_take(folder, processes.process_index, alone))
                    if processes.num_processes > 1:
                        held[-1].share()
                except RunError as found:
                    error = found
        agree(error)


def _take(folder: Path, rank: int, alone: bool) -> KernelLock | Heartbeat:
    try:
        try:
            return _take_some_lock(folder, rank, alone)
        except FileNotFoundError:  # a refused run has just removed the folder that it had made
            return _take_some_lock(folder, rank, alone)
    except OSError as error:
        if error.errno in FULL:  # no mistake of the user's
            raise
        found = f"{error.filename or folder} cannot be written: {error.strerror or error}"
        raise RunError(Mistake("training.output_dir", found, "Choose another folder.")) from error


def _take_some_lock(folder: Path, rank: int, alone: bool) -> KernelLock | Heartbeat:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return KernelLock.take(folder / LOCK, alone)
    except NoKernelLockError:
        return Heartbeat.take(folder, rank, alone)
