"""A folder that a command makes: free before it starts, and there whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_mtl.disk import writing
from hf_mtl.errors import Mistake, UserError


def check_free(place: Path, key: str) -> None:
    """Refuse a folder that is there and not empty, or that cannot be made.

    Args:
        place: The folder.
        key: What the user calls it, for messages.

    Raises:
        UserError: If it is not free.
    """
    if place.is_symlink() or place.exists():
        if not place.is_dir():
            raise UserError(Mistake(key, f"{place} is a file", "Give another folder"))
        if any(place.iterdir()):
            raise UserError(Mistake(key, f"{place} is there already, and not empty", "Give another folder"))
    parent = next(path for path in place.absolute().parents if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError(Mistake(key, f"{place} cannot be made in {parent}", "Give a folder that you can write to"))


@contextmanager
def made_whole(place: Path) -> Iterator[Path]:
    """Give a folder beside a place, and move it there when the block ends well; it is gone when it does not.

    Args:
        place: The folder to make, see `check_free`.

    Raises:
        DiskError: If something cannot be written.
    """
    place = place.resolve()
    with writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        staged = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}")
        try:
            staged.mkdir()
            yield staged
            os.replace(staged, place)  # over an empty folder, which is all that may be there
        finally:
            shutil.rmtree(staged, ignore_errors=True)
