"""Caches of the libraries below: where one cannot be written, the message says so, and not that the data is wrong."""

import errno
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import constants

from hf_mtl.errors import CacheError, Mistake

_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
_NO_FOLDER = (errno.ENOENT, errno.ENOTDIR, errno.EEXIST)  # what making a folder says where there can be none
_FULL = (errno.ENOSPC, errno.EDQUOT)
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
                remedy += ", or make room there" if cause.errno in _FULL else ""
                problem = f"the cache {folder} cannot be written ({cause.strerror}: {cause.filename})"
                raise CacheError(Mistake("", problem, remedy)) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_CAUSES):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _caches() -> Iterator[tuple[str, str]]:
    """Variable and folder of every cache; those inside others first, where there can be others around them."""
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
    if error.errno in _REFUSED:
        return inside or (place in folder.parents and not folder.is_dir())
    return error.errno in _NO_FOLDER and not folder.is_dir() and (inside or place in folder.parents)
