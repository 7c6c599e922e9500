"""Checkpoints that hf_mtl wrote: only they are replaced by newer ones, or removed to make room."""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from hf_mtl.errors import CheckpointError, Mistake, RunError
from hf_mtl.inference.manifest import MANIFEST, STATE_FILE, listed
from hf_mtl.training.checkpoint import checkpoints, step_of
from hf_mtl.training.folder.run_record import RunRecord


def own_files(folder: Path) -> frozenset[str]:
    """Return the files of a checkpoint that hf_mtl wrote, by relative path; none of a folder that it did not write.

    The record of the run says so; where there is none, as in a Trainer's folder, the checkpoint's own manifest.
    """
    if folder.is_symlink() or not folder.is_dir():
        return frozenset()
    record = RunRecord(folder.parent)
    names: Collection[str] = record.checkpoints.get(folder.name, []) if record.begun else _listed(folder)
    return frozenset([*names, MANIFEST]) if names else frozenset()


def _listed(folder: Path) -> Collection[str]:
    with suppress(CheckpointError):
        names = listed(folder)
        return names if STATE_FILE in names else ()
    return ()


def strangers(folder: Path) -> list[Path]:
    """Return what lies where a checkpoint would be and was not written by hf_mtl: files in it, or all of it."""
    if not folder.is_dir() or folder.is_symlink():
        return [folder] if os.path.lexists(folder) else []
    own, found = own_files(folder), list(_files(folder))
    if found and not own:
        return [folder]
    return [path for path in found if _name(path, folder) not in own]


def refuse_strangers(folders: Collection[Path]) -> None:
    """Refuse to save checkpoints where somebody else's files are.

    Raises:
        RunError: Naming them.
    """
    found = [str(path) for folder in folders for path in strangers(folder)]
    if found:
        problem = f"{', '.join(found)}: a checkpoint of this run would take the place, and hf_mtl did not write it"
        raise RunError(Mistake("training.output_dir", problem, "Move it away, or choose another folder"))


def publish(staged: Path, final: Path) -> None:
    """Note a sealed checkpoint and move it to its place in one rename; an older one there makes room first.

    Raises:
        RunError: If something else is there; the staged checkpoint stays where it is.
    """
    refuse_strangers([final])
    record = RunRecord(final.parent)
    if record.begun:
        record.note_checkpoint(final.name, listed(staged))
    if final.exists():
        retired = staged.parent / f"replaced-{final.name}"
        shutil.rmtree(retired, ignore_errors=True)
        os.replace(final, retired)
        shutil.rmtree(retired, ignore_errors=True)
    os.replace(staged, final)


def rotate(run: Path, limit: int | None, newest: Path, best: str | None) -> None:
    """Remove the oldest checkpoints that hf_mtl wrote, as `transformers.trainer_utils.rotate_checkpoints` would.

    That function takes every folder whose name begins like a checkpoint's, such as `checkpoint-2-best`.

    Args:
        run: Where the checkpoints are.
        limit: How many may stay; None or 0: all.
        newest: The one just saved, which stays.
        best: The best one, which stays.
    """
    if not limit or limit < 0:
        return
    own = [path for path in checkpoints(run) if own_files(path)]
    # One of a later step is left from before the run was taken back, and so older than any other.
    own.sort(key=lambda path: (step_of(path) <= step_of(newest), step_of(path)))
    kept = {newest} if best is None else {newest, Path(best)}
    excess = len(own) - max(limit, len(kept))
    remove([path for path in own if path not in kept][: max(excess, 0)])


def keep_only(best: Path) -> None:
    """Remove all checkpoints that hf_mtl wrote beside the best one; none if that is gone."""
    if best.is_dir():
        remove([path for path in checkpoints(best.parent) if own_files(path) and not path.samefile(best)])


def remove_own(folder: Path) -> None:
    """Remove what hf_mtl wrote of a checkpoint, and its folder if nothing else is in it."""
    own = own_files(folder)
    # The manifest goes last: what breaks off here is still known for a checkpoint, and for a damaged one.
    for path in sorted(_files(folder), key=lambda path: path == folder / MANIFEST):
        if _name(path, folder) in own:
            with suppress(OSError):  # such as a file that another machine holds: no reason to end a training
                path.unlink()
    remove_empty(folder)


def remove_empty(folder: Path) -> None:
    """Remove a folder of empty folders; whatever holds a file stays."""
    inner = [path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()]
    for path in [*sorted(inner, reverse=True), folder]:
        with suppress(OSError):
            path.rmdir()


def remove(folders: Collection[Path]) -> None:
    """Remove what hf_mtl wrote of several checkpoints of a run, and forget them."""
    for folder in folders:
        remove_own(folder)
    record = RunRecord(next(iter(folders)).parent) if folders else None
    if record is not None and record.begun:
        record.forget(folder.name for folder in folders)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
