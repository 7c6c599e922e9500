"""Caches of the libraries below: where one cannot be written, the message does not blame the data."""

import errno
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import constants

from hf_mtl.disk import FULL, OF_WRITING, REMEDIES, named_file, refusal, refused_code
from hf_mtl.errors import CacheError

_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
_NO_FOLDER = (errno.ENOENT, errno.ENOTDIR, errno.EEXIST)  # what making a folder says where there can be none
_CAUSES = 10


def refuse_cache(error: BaseException) -> None:
    """Raise an error of its own where another one comes from a cache that cannot be written.

    Args:
        error: What a library raised.

    Raises:
        CacheError: If it, or what it was raised from, is about a file in a cache; names the cache, and the variable
            that moves it.
    """
    for cause in _causes(error):
        if not isinstance(cause, OSError) or not isinstance(cause.filename, (str, Path)):
            continue
        for variable, folder in _caches():
            if _is_about(cause, Path(folder)):
                remedy = f"Set {variable} to a folder that can be written"
                remedy += ", or make room there" if cause.errno in FULL else ""
                problem = f"the cache {folder} cannot be written ({cause.strerror}: {cause.filename})"
                raise CacheError(f"{problem}. {remedy}.", cause.errno in FULL) from error


@contextmanager
def filling_cache(folder: Path, variable: str) -> Iterator[None]:
    """Say of a cache that it is the cache, and how to choose another.

    Args:
        folder: The cache that is read and written in the block.
        variable: The environment variable that says where it is.

    Raises:
        CacheError: In place of an error about a file in a cache, and of any that only writing has, also where another
            one hides it.
    """
    try:
        yield
    except Exception as error:
        refuse_cache(error)
        for cause in _causes(error):
            code = refused_code(cause)
            if code is not None and code in OF_WRITING:
                problem = refusal(named_file(cause) or folder, code)
                remedy = f"{REMEDIES[code]}, or set {variable} to a folder elsewhere"
                raise CacheError(f"{problem}; it is in the cache. {remedy}.", code in FULL) from error
        raise


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_CAUSES):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _caches() -> Iterator[tuple[str, str]]:
    """Yield the variable and the folder of every cache; a cache that may lie in another stands before it."""
    if not Path(constants.HF_HOME).is_dir():
        yield "HF_HOME", constants.HF_HOME
    datasets = sys.modules.get("datasets.config")
    if datasets is not None:
        yield "HF_DATASETS_CACHE", str(datasets.HF_DATASETS_CACHE)
    evaluate = sys.modules.get("evaluate.config")
    if evaluate is not None:
        yield "HF_EVALUATE_CACHE", str(evaluate.HF_EVALUATE_CACHE)
    yield "HF_HUB_CACHE", constants.HF_HUB_CACHE
    yield "HF_HOME", constants.HF_HOME
    yield "TMPDIR", tempfile.gettempdir()


def _is_about(error: OSError, folder: Path) -> bool:
    place = Path(error.filename)
    inside = place == folder or folder in place.parents
    unreadable = error.errno in (errno.EACCES, errno.EPERM) and place.is_file()
    if unreadable and folder == Path(tempfile.gettempdir()):
        return False  # a file that is there and cannot be read: people keep data in such places too
    if error.errno in _REFUSED:
        return inside or (place in folder.parents and not folder.is_dir())
    return error.errno in _NO_FOLDER and not folder.is_dir() and (inside or place in folder.parents)
