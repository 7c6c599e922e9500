"""Kinds of files: a path may lead to a pipe or a device, whose reading may never end."""

import stat

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def other_kind(mode: int) -> str:
    """Say what a path leads to, where that is no file; else nothing.

    Args:
        mode: As `os.stat` gives it.
    """
    return next((kind for test, kind in _KINDS if test(mode)), "")
