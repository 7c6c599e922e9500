"""Files with the permissions that the user's umask gives, whatever library has written them.

safetensors makes files that only their owner can read: a group that shares a folder could read all of a model but its
weights.
"""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def give_usual_modes(paths: Iterable[Path]) -> None:
    """Give files the permissions that a new file has where they lie.

    A new file is made to see them: the umask cannot be asked for without changing it for all threads, and a folder
    may have defaults of its own.

    Args:
        paths: Files in one folder.
    """
    wanted: int | None = None
    for path in paths:
        with suppress(OSError):  # a file system without permissions
            if wanted is None:
                wanted = _mode_of_new(path.with_name(f".{path.name}.{os.getpid()}.mode"))
            if stat.S_IMODE(path.stat().st_mode) != wanted:
                path.chmod(wanted)


def _mode_of_new(path: Path) -> int:
    with path.open("x"):
        pass
    try:
        return stat.S_IMODE(path.stat().st_mode)
    finally:
        path.unlink()
