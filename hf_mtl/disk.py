"""Messages for files that a disk does not take: which file, what is wrong with its place, and what to do."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from hf_mtl.errors import DiskError, HfMtlError

FULL = (errno.ENOSPC, errno.EDQUOT)
# Only writing has these, so that they need no knowledge of what was going on.
OF_WRITING = (*FULL, errno.EFBIG, errno.EROFS)
REMEDIES = {
    errno.ENOSPC: "Make room there",
    errno.EDQUOT: "Make room within your quota there",
    errno.EFBIG: "Raise the limit on the size of a file (ulimit -f), or choose another file system",
    errno.EROFS: "Make the file system writable, or choose another folder",
    errno.EACCES: "Make the folder writable for you, or choose another one",
    errno.EPERM: "Make the folder writable for you, or choose another one",
}
_OTHER = "Check the disk, or the network that it is reached by"
# torch.save forgets what the system said.
_OF_TORCH = ("inline_container", "PytorchStreamWriter", "basic_ios::clear")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of a write that failed which file it was and what can be done.

    Args:
        path: The file that is written in the block, or the folder of several.

    Raises:
        DiskError: In place of what the system, safetensors, tokenizers or torch say of it.
    """
    try:
        yield
    except Exception as error:
        code = refused_code(error)
        if code is None:
            raise
        file = _file(error, path)
        raise DiskError(f"{refusal(file, code)}. {REMEDIES.get(code, _OTHER)}.", code in FULL) from error


def refused_code(error: BaseException) -> int | None:
    """Return the system's number for what it refused to write; None for an error of another kind."""
    if isinstance(error, HfMtlError | ConnectionError | TimeoutError):  # one that is explained; a pipe; the Hub
        return None
    if isinstance(error, OSError):
        # datasets looks for room itself and has no number for it.
        return errno.ENOSPC if "Not enough disk space" in str(error) else error.errno
    if found := re.search(r"\(os error (\d+)\)", str(error)):  # what is written in Rust: safetensors, tokenizers
        return int(found[1])
    of_torch = isinstance(error, RuntimeError) and any(sign in str(error) for sign in _OF_TORCH)
    return errno.ENOSPC if of_torch else None  # by far the most likely


def _file(error: Exception, path: Path) -> Path:
    """Return the file that could not be written."""
    if not path.is_dir():
        return path
    if named := named_file(error):
        return named
    if isinstance(error, SafetensorError):
        return path / "model.safetensors"  # it writes under a passing name, of which nothing is left
    # The system names only files that it could not open: it is the one that was being written.
    files = [(found.stat().st_mtime_ns, found) for found in path.rglob("*") if found.is_file()]
    return max(files, default=(0, path))[1]


def named_file(error: BaseException) -> Path | None:
    """Return the file that an error names: one that could not be opened."""
    name = error.filename if isinstance(error, OSError) else None
    return Path(name) if isinstance(name, str | os.PathLike) else None


def refusal(file: Path, code: int) -> str:
    """Tell which file could not be written, why, and how much room there is."""
    room = f" ({_free(file)} free)" if code == errno.ENOSPC else ""
    return f"cannot write {file}: {os.strerror(code)}{room}"


def _free(path: Path) -> str:
    """Return the room on the disk of a path, for a reader."""
    there = next((parent for parent in (path, *path.absolute().parents) if parent.exists()), Path.cwd())
    size = float(shutil.disk_usage(there).free)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"
