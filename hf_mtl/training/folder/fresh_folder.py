"""Folders that come to be for a run: made where they can be, and gone again where nothing was written."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar, cast

from hf_mtl.errors import Mistake

Made = TypeVar("Made", bound=Callable[..., None])


def missing(folder: Path) -> list[Path]:
    """Return the folder and those around it that are not there, the innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, the innermost first; one in which something lies stays."""
    for path in folders:
        with suppress(OSError, ValueError):  # not empty; no path at all
            path.rmdir()


def place_mistakes(folder: Path, writes: bool = True) -> list[Mistake]:
    """Make a folder, write nothing, and remove it again: what hinders that would hinder a run.

    Args:
        folder: The folder; stays where it is there already.
        writes: Whether files will be written in it.
    """
    key, remedy = "training.output_dir", "Choose another folder"
    made: list[Path] = []
    try:
        made = missing(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if writes and not os.access(folder, os.W_OK | os.X_OK):
            return [Mistake(key, f"{folder} cannot be written: Permission denied", remedy)]
    except OSError as error:
        place = error.filename or folder
        return [Mistake(key, f"{place} cannot be written: {error.strerror or error}", remedy)]
    except ValueError as error:  # a character that no path has
        return [Mistake(key, f"{str(folder)!r} cannot be a folder: {error}", remedy)]
    finally:
        remove_empty(made)
    return []


def leaving_nothing(construct: Made) -> Made:
    """Let a Trainer's constructor that refuses what it is given leave no folder, as transformers makes one early."""

    @wraps(construct)
    def tried(*given: Any, **named: Any) -> None:
        args = signature(construct).bind(*given, **named).arguments.get("args")
        made: list[Path] = []
        with suppress(OSError, ValueError, TypeError):  # the constructor says so, with whatever else is wrong
            made = missing(Path(getattr(args, "output_dir", "")))
        try:
            construct(*given, **named)
        except BaseException:
            remove_empty(made)
            raise

    return cast(Made, tried)
