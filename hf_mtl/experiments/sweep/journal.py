"""The journal of a sweep, optuna's, which outlives workers that are killed while they write."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hf_mtl.errors import Mistake, RunError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


def open_journal(path: Path) -> "BaseStorage":
    """Open a journal; a last line that was never finished is cut off, since the next one would be written behind it.

    Args:
        path: The file; is made if it is missing.

    Raises:
        RunError: If another line is damaged.
    """
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock, JournalStorage

    lock = JournalFileSymlinkLock(str(path))
    lock.acquire()
    try:
        _cut_unfinished(path)
    finally:
        lock.release()
    try:
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except ValueError as error:
        remedy = "Put a whole copy back, or move the folder away and start anew"
        raise RunError(Mistake("", f"{path}: is damaged ({error})", remedy)) from error


def _cut_unfinished(path: Path) -> None:
    if not path.exists():
        return
    with path.open("r+b") as file:
        text = file.read()
        if text and not text.endswith(b"\n"):
            file.truncate(text.rfind(b"\n") + 1)
            os.fsync(file.fileno())
