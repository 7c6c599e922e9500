"""The run that ``--overwrite`` replaces: kept aside until the new one has its results."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from hf_mtl.training.folder.own_checkpoints import remove_empty, remove_own
from hf_mtl.training.folder.run_record import RECORD, WORK, RunRecord

REPLACED = f"{WORK}/replaced"


class ReplacedRun:
    """The files of a run that is being replaced, moved to ``.hf_mtl/replaced/N`` by renames.

    Its record is moved last, and comes back first, so that a process killed at any moment leaves a state that says
    what to do: with the record in place and none aside, what is aside belongs back; with the record aside and none in
    place, too, as nothing new has begun; with one in both, the new run has begun.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._all = folder / REPLACED

    @property
    def place(self) -> Path | None:
        """Tell where the run that was replaced last is kept; None: there is none."""
        return max(self._places(), key=lambda path: int(path.name), default=None)

    def _places(self) -> list[Path]:
        with suppress(OSError):
            return [path for path in self._all.iterdir() if path.name.isdecimal()]
        return []

    def take_away(self) -> None:
        """Move the run in the folder aside; it must be known that its files are its own."""
        last = self.place
        place = self._all / str(1 if last is None else int(last.name) + 1)
        place.mkdir(parents=True)
        record = RunRecord(self.folder)
        _move(_parts(record), self.folder, place)
        os.replace(record.path, place / RECORD)

    def recover(self) -> bool:
        """Put a run back whose replacing was broken off, or had not led to a new one; says whether there was one."""
        place = self.place
        if place is None:
            return False
        here, aside = (self.folder / RECORD).exists(), (place / RECORD).exists()
        if here == aside:
            return False
        if aside:
            os.replace(place / RECORD, self.folder / RECORD)
        moved = _move(_parts(RunRecord(self.folder)), place, self.folder)
        remove_empty(self.folder / WORK)
        return moved > 0

    def give_back(self) -> bool:
        """Remove what a new run wrote and put the old one back; says whether that could be done.

        Somebody else's file where one of the old run's belongs is left alone, and so is everything else.
        """
        place, record = self.place, RunRecord(self.folder)
        if place is None or not record.begun:
            return False
        new = [name for name in record.files if record.is_own(name)]
        taken = [name for name in _parts(RunRecord(place)) if os.path.lexists(self.folder / name)]
        if any(name not in new and name not in record.checkpoints for name in taken):
            return False
        for name in record.checkpoints:
            remove_own(self.folder / name)
        for name in new:
            (self.folder / name).unlink()
        record.path.unlink()
        return self.recover()

    def remove(self) -> None:
        """Remove what was kept, now that nothing can ask for it any more."""
        for place in self._places():
            for path in place.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != RECORD:
                    path.unlink()
            # Last, as the rest would else be taken for a run to be put back.
            (place / RECORD).unlink(missing_ok=True)
        remove_empty(self.folder / WORK)


def _parts(record: RunRecord) -> list[str]:
    """Return the files and the checkpoint folders of a run."""
    return [*record.files, *record.checkpoints]


def _move(parts: Iterable[str], source: Path, target: Path) -> int:
    """Move what is there of some files and folders, and count it; nothing is replaced."""
    moved = 0
    for name in parts:
        if os.path.lexists(source / name) and not os.path.lexists(target / name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(source / name, target / name)
            moved += 1
            if (source / name).parent != source:
                remove_empty((source / name).parent)
    return moved
